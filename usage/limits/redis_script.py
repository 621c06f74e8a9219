"""The Lua side of the Redis store: the contract's steps, each one script call.

Redis runs a script alone, so a step is atomic for every node. The script only decides
and counts; when something refuses it returns the figures, and Python words the refusal
with the same code as the in-process store.

Layout, all under one prefix with a hash tag, so that a cluster keeps them together:
``s:<scope>`` counts of a subject, ``b:<budget>:<window>`` money of a window (``x`` is
what the ledger has not seen yet), ``t:<ticket>`` what a ticket holds, ``leases`` the
open tickets by the end of their lease, ``run`` who is alive (``redis_script_fleet``).

Units: microseconds and nano-USD. Lua's numbers are doubles, exact below 2**53: that is
    the year 2255 and 9 million USD. A rate's limit times its period must stay below as
    well, which allows 150 million tokens per minute.
"""

from __future__ import annotations

from typing import Final

from usage.limits.redis_script_fleet import FLEET

_STEPS: Final = """
local req = cmsgpack.unpack(ARGV[1])
local leases, ticket_key = KEYS[1], KEYS[2]
local SCOPE_AT = 2
local BUDGET_AT = 2 + #req.scopes
local KEEP_MS = 7200000
local EXPIRED_PER_CALL = 500

local now = req.now
if now == 0 then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function text(number)
  return string.format('%.0f', number)
end

-- Rates: the arithmetic of gcra.py.

local function backlog(at, part, rate)
  if at < now then return 0 end
  return (at - now) * rate.limit + math.min(part, rate.limit - 1)
end

local function fits(at, part, rate, cost)
  return (rate.burst - cost) * rate.period - backlog(at, part, rate) >= 0
end

local function advance(at, part, rate, cost)
  if at < now then at, part = now, 0 end
  local sum = math.min(part, rate.limit - 1) + cost * rate.period
  local whole = math.floor(sum / rate.limit)
  local rest = sum - whole * rate.limit
  -- The division is rounded; the product is not.
  if rest < 0 then
    whole, rest = whole - 1, rest + rate.limit
  elseif rest >= rate.limit then
    whole, rest = whole + 1, rest - rate.limit
  end
  return at + whole, rest
end

-- Subjects.

local function load_subject(key)
  local v = redis.call('HMGET', key, 'ra', 'rp', 'ta', 'tp', 'n', 'wi', 'wu')
  return {
    ra = tonumber(v[1]) or 0, rp = tonumber(v[2]) or 0,
    ta = tonumber(v[3]) or 0, tp = tonumber(v[4]) or 0,
    n = tonumber(v[5]) or 0, wi = v[6] or '', wu = tonumber(v[7]) or 0,
  }
end

local function save_subject(key, s, scope)
  redis.call('HSET', key,
    'ra', text(s.ra), 'rp', text(s.rp), 'ta', text(s.ta), 'tp', text(s.tp),
    'n', text(s.n), 'wi', s.wi, 'wu', text(s.wu))
  local keep = KEEP_MS + math.max(0, s.ra - now, s.ta - now) / 1000
  if scope.count then
    if scope.count.ends == 0 then
      redis.call('PERSIST', key)
      return
    end
    keep = math.max(keep, (scope.count.ends - now) / 1000 + KEEP_MS)
  end
  redis.call('PEXPIRE', key, text(math.floor(keep)))
end

local function used_in(s, count)
  if s.wi == count.id then return s.wu end
  return count.used
end

local function subject_fits(s, scope)
  if scope.rpm and not fits(s.ra, s.rp, scope.rpm, 1) then return false end
  if scope.tpm and not fits(s.ta, s.tp, scope.tpm, req.tokens) then return false end
  if scope.slots and s.n >= scope.slots then return false end
  return not (scope.count and used_in(s, scope.count) >= scope.count.limit)
end

local function count_requests(s, scope, more)
  local count = scope.count
  if not count then return end
  if more < 0 and s.wi ~= count.id then return end
  s.wu = used_in(s, count) + more
  s.wi = count.id
end

local function add(s, scope, requests, tokens)
  if scope.rpm and requests ~= 0 then
    s.ra, s.rp = advance(s.ra, s.rp, scope.rpm, requests)
  end
  if scope.tpm and tokens ~= 0 then
    s.ta, s.tp = advance(s.ta, s.tp, scope.tpm, tokens)
  end
end

-- Money.

local function load_window(key, budget)
  local v = redis.call('HMGET', key, 'total', 'x', 'reserved')
  local seed = budget and budget.seed or 0
  return {
    spent = (tonumber(v[1]) or seed) + (tonumber(v[2]) or 0),
    reserved = tonumber(v[3]) or 0,
  }
end

local function touch_window(key, budget)
  redis.call('HSETNX', key, 'total', text(budget.seed))
  if budget.ends > 0 then
    -- Two days more: a clock that was set back finds what the window had spent.
    local keep = math.max(0, budget.ends - now) / 1000 + 24 * KEEP_MS
    redis.call('PEXPIRE', key, text(math.floor(keep)))
  end
end

local function add_to(key, field, more)
  local value = (tonumber(redis.call('HGET', key, field)) or 0) + more
  redis.call('HSET', key, field, text(value))
  return value
end

local function unseen(key, origin)
  local v = redis.call('HMGET', key, 'l:' .. origin, 's:' .. origin)
  return math.max(0, (tonumber(v[1]) or 0) - (tonumber(v[2]) or 0))
end

local function budget_fits(budget, committed, more)
  if more <= 0 then return true end
  if budget.hard then return committed + more <= budget.limit end
  return committed < budget.limit
end

-- Tickets.

local function load_ticket(key)
  local packed = redis.call('GET', key)
  if packed then return cmsgpack.unpack(packed) end
  return nil
end

local function save_ticket(key, ticket)
  redis.call('SET', key, cmsgpack.pack(ticket), 'PX', KEEP_MS)
end

local function give_back(id, ticket)
  redis.call('ZREM', leases, id)
  for _, key in ipairs(ticket.subjects) do
    if redis.call('EXISTS', key) == 1 then add_to(key, 'n', -1) end
  end
  if ticket.nano ~= 0 then
    for _, key in ipairs(ticket.windows) do add_to(key, 'reserved', -ticket.nano) end
  end
end

local function expire()
  local ids = redis.call(
    'ZRANGEBYSCORE', leases, '-inf', text(now), 'LIMIT', 0, EXPIRED_PER_CALL)
  for _, id in ipairs(ids) do
    local key = req.prefix .. 't:' .. id
    local ticket = load_ticket(key)
    if ticket then
      give_back(id, ticket)
      ticket.open = false
      save_ticket(key, ticket)
    else
      redis.call('ZREM', leases, id)
    end
  end
  return #ids
end

-- Raises what an origin counted itself to a sum it tells: told twice it counts once.
local function count_own(key, mine)
  local before = unseen(key, req.origin)
  local field = 'l:' .. req.origin
  if mine > (tonumber(redis.call('HGET', key, field)) or 0) then
    redis.call('HSET', key, field, text(mine))
    add_to(key, 'x', unseen(key, req.origin) - before)
  end
end

-- Of several nodes' news the older may come later; the ledger's sums only grow.
local function learn_shipped(key, total, by_origin)
  if req.member then
    total = math.max(total, tonumber(redis.call('HGET', key, 'total')) or 0)
  end
  redis.call('HSET', key, 'total', text(total))
  for origin, nano in pairs(by_origin) do
    local before = unseen(key, origin)
    if req.member then
      nano = math.max(nano, tonumber(redis.call('HGET', key, 's:' .. origin)) or 0)
    end
    redis.call('HSET', key, 's:' .. origin, text(nano))
    add_to(key, 'x', unseen(key, origin) - before)
  end
end

-- Ends a ticket once; nil when somebody did before.
local function close()
  local ticket = load_ticket(ticket_key)
  if not ticket then return nil end
  if ticket.open then give_back(req.id, ticket) end
  redis.call('DEL', ticket_key)
  return ticket
end

-- The figures Python words an answer from.
local function figures(code)
  local answer = {code, text(now)}
  for i = 1, #req.scopes do
    local s = load_subject(KEYS[SCOPE_AT + i])
    answer[#answer + 1] = {
      text(s.ra), text(s.rp), text(s.ta), text(s.tp), text(s.n), s.wi, text(s.wu)}
  end
  for i, budget in ipairs(req.budgets) do
    local w = load_window(KEYS[BUDGET_AT + i], budget)
    answer[#answer + 1] = {text(w.spent), text(w.reserved)}
  end
  return answer
end

local function money_fits(more, held)
  local fits_all = true
  for i, budget in ipairs(req.budgets) do
    local key = KEYS[BUDGET_AT + i]
    local w = load_window(key, budget)
    if not budget_fits(budget, w.spent + w.reserved - held, more) then
      -- Nodes that hold a share of it give the share back.
      if redis.call('EXISTS', key) == 1 then
        redis.call('HSET', key, 'wanted', text(now))
      end
      fits_all = false
    end
  end
  return fits_all
end

local function reserve(more)
  for i, budget in ipairs(req.budgets) do
    local key = KEYS[BUDGET_AT + i]
    touch_window(key, budget)
    if more ~= 0 then add_to(key, 'reserved', more) end
  end
end

-- Says why a node may not be served now: -2 it is not known here (the data was
-- lost, or it was silent for long), -3 others have not yet said what they hold.
local function barred()
  local v = redis.call('HMGET', req.prefix .. 'run', 'n:' .. req.origin, 'until', 'open')
  if (tonumber(v[1]) or 0) == 0 then return -2 end
  if v[3] or now >= (tonumber(v[2]) or 0) or req.nano <= 0 then return nil end
  for _, budget in ipairs(req.budgets) do
    if budget.hard then return -3 end
  end
  return nil
end

local steps = {}

function steps.acquire()
  expire()
  local opened = load_ticket(ticket_key)
  if opened and opened.open then return {2, text(opened.nano)} end
  local closed_to_us = req.member and barred()
  if closed_to_us then return {closed_to_us} end
  local subjects = {}
  local has_room = money_fits(req.nano, 0)
  for i, scope in ipairs(req.scopes) do
    subjects[i] = load_subject(KEYS[SCOPE_AT + i])
    has_room = has_room and subject_fits(subjects[i], scope)
  end
  if not has_room then return figures(0) end
  local answer = figures(1)
  local ticket = {open = true, nano = req.nano, subjects = {}, windows = {}}
  for i, scope in ipairs(req.scopes) do
    local s, key = subjects[i], KEYS[SCOPE_AT + i]
    s.n = s.n + 1
    add(s, scope, 1, req.tokens)
    count_requests(s, scope, 1)
    save_subject(key, s, scope)
    ticket.subjects[i] = key
  end
  reserve(req.nano)
  for i = 1, #req.budgets do ticket.windows[i] = KEYS[BUDGET_AT + i] end
  save_ticket(ticket_key, ticket)
  redis.call('ZADD', leases, text(now + req.lease), req.id)
  return answer
end

function steps.renew()
  expire()
  local ticket = load_ticket(ticket_key)
  if not (ticket and ticket.open) then return {0} end
  redis.call('ZADD', leases, text(now + req.lease), req.id)
  redis.call('PEXPIRE', ticket_key, KEEP_MS)
  return {1}
end

function steps.re_reserve()
  expire()
  local ticket = load_ticket(ticket_key)
  if not (ticket and ticket.open) then return {-1} end
  local held = ticket.nano
  local answer
  if req.nano > held and not money_fits(req.nano, held) then
    answer = figures(0)
  else
    answer = figures(1)
    reserve(req.nano - held)
    ticket.nano = req.nano
    save_ticket(ticket_key, ticket)
  end
  answer[#answer + 1] = text(held)
  return answer
end

function steps.settle()
  expire()
  local was_known = close() ~= nil
  if not (was_known or req.counted) then return {0} end
  for i, scope in ipairs(req.scopes) do
    if was_known and scope.tpm and req.tokens ~= 0 then
      local key = KEYS[SCOPE_AT + i]
      local s = load_subject(key)
      add(s, scope, 0, req.tokens)
      save_subject(key, s, scope)
    end
  end
  if req.nano ~= 0 then
    for i, budget in ipairs(req.budgets) do
      local key = KEYS[BUDGET_AT + i]
      touch_window(key, budget)
      local counted = tonumber(redis.call('HGET', key, 'l:' .. req.origin)) or 0
      count_own(key, budget.mine or counted + req.nano)
    end
  end
  return {1}
end

function steps.release()
  expire()
  if not close() then return {0} end
  for i, scope in ipairs(req.scopes) do
    local key = KEYS[SCOPE_AT + i]
    local s = load_subject(key)
    add(s, scope, -1, -req.tokens)
    count_requests(s, scope, -1)
    save_subject(key, s, scope)
  end
  return {1}
end

function steps.status()
  expire()
  return figures(1)
end

function steps.shipped()
  learn_shipped(KEYS[BUDGET_AT + 1], req.nano, req.shipped)
  return {1}
end

function steps.expire()
  return {expire()}
end
"""

SCRIPT: Final = f"{_STEPS}{FLEET}\nreturn steps[req.op]()\n"
