-- Chooses the backend of a request by its path: lines `SERVICE PATH BACKEND` of the file path_to_backend.map, which
-- lies beside map_file and is read again every map_refresh_interval seconds. PATH is a prefix that ends where a part
-- of the path ends; the longest one counts. A backend that does not exist or has no free slot is passed over; without
-- a rule the request goes to the service's own backend, or to one of its other locations' when that one is full.

local directory = (os.getenv('map_file') or ''):match('^(.*/)') or './'
local path = directory .. 'path_to_backend.map'
local interval = tonumber(os.getenv('map_refresh_interval')) or 5
-- Service -> list of {path, backend}, the longest path first.
local rules = {}

local function read()
  local file = io.open(path)
  if not file then
    return
  end
  local found = {}
  for line in file:lines() do
    local service, prefix, backend = line:match('^%s*([^#%s]%S*)%s+(/%S*)%s+(%S+)')
    if service then
      found[service] = found[service] or {}
      table.insert(found[service], { path = (prefix:gsub('/$', '')), backend = backend })
    end
  end
  file:close()
  for _, list in pairs(found) do
    table.sort(list, function(one, other)
      return #one.path > #other.path or #one.path == #other.path and one.path < other.path
    end)
  end
  rules = found
end

-- -1 slots: one of the servers has no limit.
local function has_slots(txn, backend)
  return core.backends[backend] ~= nil and txn.f:connslots(backend) ~= 0
end

local function is_below(request, prefix)
  return request:sub(1, #prefix) == prefix and (#request == #prefix or request:sub(#prefix + 1, #prefix + 1) == '/')
end

-- Other locations' backends of a service: `SERVICE.TYPE`, by name.
local function other_locations(service)
  local names = {}
  for name in pairs(core.backends) do
    if name:sub(1, #service + 1) == service .. '.' and not name:find('_timeouts$') then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

core.register_fetches('get_backend', function(txn)
  local service = txn.f:fe_name()
  local request = txn.f:path() or '/'
  for _, rule in ipairs(rules[service] or {}) do
    if is_below(request, rule.path) and has_slots(txn, rule.backend) then
      return rule.backend
    end
  end
  if not has_slots(txn, service) then
    for _, name in ipairs(other_locations(service)) do
      if has_slots(txn, name) then
        return name
      end
    end
  end
  return service
end)

core.register_init(read)
core.register_task(function()
  while true do
    core.sleep(interval)
    read()
  end
end)
