-- Tells a service who asks: the header X-Smartstack-Origin is the client's service by its address, `0` for an unknown
-- one. What the client itself sends under that name is removed. `map-debug` shows the map.

local here = debug.getinfo(1, 'S').source:match('^@(.*/)') or './'
smartstack_service_map = smartstack_service_map or dofile(here .. 'service_map.lua')

core.register_action('add_source_header', { 'http-req' }, function(txn)
  txn.http:req_set_header('X-Smartstack-Origin', smartstack_service_map.name_of(txn.f:src()) or '0')
end)

local function quoted(text)
  return '"' .. text:gsub('["\\]', '\\%0') .. '"'
end

core.register_service('map-debug', 'http', function(applet)
  local members = {}
  for address, name in pairs(smartstack_service_map.names) do
    members[#members + 1] = quoted(address) .. ':' .. quoted(name)
  end
  table.sort(members)
  local body = '{' .. table.concat(members, ',') .. '}'
  applet:set_status(200)
  applet:add_header('content-length', tostring(#body))
  applet:add_header('content-type', 'text/plain')
  applet:start_response()
  applet:send(body)
end)
