-- What contracts ask the chain, and running one call. The chunk returns the function that does it.

-- host: every function is one question over `bridge`, which answers and never raises.

local function ask(operation, ...)
  charge(P.host_gas)
  local verdict, answer, cost = bridge(operation, ...)
  gas = gas + cost
  stored = stored + cost // P.value_node_gas
  if verdict == "refused" then
    die("aborted", answer)
  elseif verdict == "out-of-memory" then
    die("out-of-memory")
  end
  check()
  return answer
end

env.host = {}
for operation in native_next, P.operations do
  env.host[operation] = function(a, b, c)
    return ask(operation, a, b, c)
  end
end

function env.host.abort(message)
  die("aborted", to_text(message))
end

env.call = P.call

-- Running one call. Returns a status, then the result or an error text, then the gas used.

local function describe(problem)
  if native_type(problem) == "string" then
    return (gsub(problem, "^prelude:%d+: ", "")) -- a tail call left no line of the contract's
  elseif native_type(problem) == "number" then
    return to_text(problem)
  end
  return format("the contract raised a %s value", native_type(problem))
end

local function list_functions(contract)
  local names = {}
  for name, f in native_next, contract do
    if native_type(name) == "string" and native_type(f) == "function" then
      names[#names + 1] = name
    end
  end
  sort(names)
  return names
end

-- An empty `method` asks what the contract offers.
local function invoke(chunk, method, args)
  local contract = chunk()
  if native_type(contract) ~= "table" then
    native_error("the contract does not end with 'return <table of its methods>'", 0)
  end
  if method == "" then
    return list_functions(contract)
  end
  local f = contract[method]
  if native_type(f) ~= "function" then
    native_error(format("the contract has no function '%s'", method), 0)
  end
  return (f(args))
end

local function run(chunk, method, args)
  local ok, result = native_pcall(invoke, chunk, method, args)
  sethook()
  return ok, result
end

return function(source, method, args)
  local chunk, problem = load(source, "=contract", "t", env)
  if not chunk then
    return "aborted", problem, gas
  end
  read_memory("stop")
  memory_limit = read_memory("count") + P.memory_kib
  sethook(tick, "", P.instructions_per_tick)
  -- Twice protected: a tick may also fall between the end of `invoke` and `sethook`. The next one
  -- would be a hundred instructions away.
  local completed, ok, result = native_pcall(run, chunk, method, args)
  sethook()
  if not completed then
    ok, result = false, ok
  end
  if not ok and result == NO_MEMORY then
    dead = dead or "out-of-memory"
  end
  if dead then
    return dead, dead_detail or "", gas
  elseif not ok then
    return "aborted", describe(result), gas
  elseif gas > gas_limit then
    return "out-of-gas", "", gas
  end
  return "ok", result, gas
end
