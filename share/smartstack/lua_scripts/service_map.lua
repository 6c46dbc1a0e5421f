-- Which service a client's address belongs to: the file named by the variable map_file, a line `ADDRESS NAME` each,
-- read again every map_refresh_interval seconds. Loaded once by the scripts that need it.

local map = { names = {} }
local path = os.getenv('map_file')
local interval = tonumber(os.getenv('map_refresh_interval')) or 5

-- A file that is not there now leaves what was known: it is being replaced, or its writer is being restarted.
local function read()
  local file = path and io.open(path)
  if not file then
    return
  end
  local names = {}
  for line in file:lines() do
    local address, name = line:match('^%s*([^#%s]%S*)%s+(%S+)')
    if address then
      names[address] = name
    end
  end
  file:close()
  map.names = names
end

-- nil for an address that is not in the file.
function map.name_of(address)
  return address and map.names[address]
end

core.register_init(read)
core.register_task(function()
  while true do
    core.sleep(interval)
    read()
  end
end)

return map
