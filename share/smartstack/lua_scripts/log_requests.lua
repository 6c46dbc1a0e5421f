-- Logs which service asks which: a line `provenance SOURCE BACKEND` at level info for a share of the requests, which
-- the variable sample_rate gives (0 to 1; without it all). A client that the map does not know is logged by its address.

local here = debug.getinfo(1, 'S').source:match('^@(.*/)') or './'
smartstack_service_map = smartstack_service_map or dofile(here .. 'service_map.lua')

local sample_rate

-- On the first request and not when the file is loaded: the last `setenv` of the configuration counts.
core.register_action('init_logging', { 'tcp-req', 'http-req' }, function()
  if not sample_rate then
    sample_rate = tonumber(os.getenv('sample_rate') or '1') or 0
  end
end)

core.register_action('log_provenance', { 'tcp-req', 'http-req' }, function(txn)
  if not sample_rate or math.random() >= sample_rate then
    return
  end
  local address = txn.f:src()
  local source = smartstack_service_map.name_of(address) or address or '-'
  txn:Info('provenance ' .. source .. ' ' .. txn.f:be_name() .. '\n')
end)
