"""The Lua side of a fleet: who is alive, what each node holds, shares of hard budgets.

Each node tells once a second what it holds itself (step ``sync``): tickets the server
does not know of, what it counted of each budget, the part of a share it still has.
Everything is told as a sum and not as a change, so it may be told twice. That is how
the state comes back after the server lost it.

The hash ``run`` knows each node by the moment it is forgotten (``n:<origin>``, 0 =
expected and not heard of), ``until`` when a server that lost its data stops waiting
for them, ``told`` that one of them knew the others, ``open`` that the wait is over.
"""

from __future__ import annotations

from typing import Final

FLEET: Final = """
local RUN_KEEP_MS = 172800000
local WANTED_US = 5000000

-- Makes a ticket what its node says it is.
local function announce(ticket)
  local key = req.prefix .. 't:' .. ticket.id
  local known = load_ticket(key)
  if known and known.open then
    if not ticket.open then
      give_back(ticket.id, known)
      redis.call('DEL', key)
      return
    end
    for _, window in ipairs(known.windows) do
      add_to(window, 'reserved', ticket.nano - known.nano)
    end
    known.nano = ticket.nano
  else
    if not ticket.open then return end
    known = {
      open = true, nano = ticket.nano,
      subjects = ticket.subjects, windows = ticket.windows}
    for _, subject in ipairs(ticket.subjects) do
      add_to(subject, 'n', 1)
      redis.call('PEXPIRE', subject, KEEP_MS)
    end
    for _, window in ipairs(ticket.windows) do
      add_to(window, 'reserved', ticket.nano)
    end
  end
  save_ticket(key, known)
  redis.call('ZADD', leases, text(now + req.lease), ticket.id)
end

-- Sets a node's share of a budget: a hundredth of what is left, nothing where that
-- does not pay for one call or somebody was refused, never less than the node holds.
local function share(key, budget)
  local id = 'share:' .. req.origin .. ':' .. key
  local known = load_ticket(req.prefix .. 't:' .. id)
  local own = (known and known.open) and known.nano or 0
  local w = load_window(key, budget)
  local room = budget.limit - w.spent - w.reserved + own
  local wanted = tonumber(redis.call('HGET', key, 'wanted'))
  local want = 0
  if budget.hard and not (wanted and now - wanted < WANTED_US) then
    want = math.floor(room / 100)
    if want < budget.unit or want < 1 then want = 0 end
  end
  local amount = math.max(budget.held, want)
  if amount > 0 or own > 0 then
    announce({
      id = id, open = amount > 0, nano = amount, subjects = {}, windows = {key}})
  end
  return amount, want
end

-- Notes that this node lives; returns how many do, and whether money must wait.
local function meet()
  local key = req.prefix .. 'run'
  if redis.call('EXISTS', key) == 0 then
    local gate = req.started + req.rebuild
    if #req.known > 0 then gate = math.max(gate, now + req.rebuild) end
    redis.call('HSET', key, 'until', text(gate))
  end
  for _, origin in ipairs(req.known) do
    redis.call('HSETNX', key, 'n:' .. origin, '0')
    redis.call('HSETNX', key, 'told', '1')
  end
  redis.call('HSET', key, 'n:' .. req.origin, text(now + req.silence))
  redis.call('PEXPIRE', key, RUN_KEEP_MS)
  local v = redis.call('HMGET', key, 'until', 'told', 'open')
  local gate, told, open = tonumber(v[1]) or 0, v[2], v[3]
  local fields = redis.call('HGETALL', key)
  local missing, alive = 0, {}
  for i = 1, #fields, 2 do
    local name, value = fields[i], tonumber(fields[i + 1])
    if string.sub(name, 1, 2) == 'n:' then
      if value > now then alive[#alive + 1] = string.sub(name, 3)
      elseif value == 0 and now < gate then missing = missing + 1
      else redis.call('HDEL', key, name)
      end
    end
  end
  if not open and (now >= gate or (told and missing == 0)) then
    redis.call('HSET', key, 'open', '1')
    open = '1'
  end
  return alive, open
end

function steps.sync()
  expire()
  if req.joined and barred() == -2 then return {-2} end
  for _, ticket in ipairs(req.tickets) do announce(ticket) end
  local shares = {}
  for i, budget in ipairs(req.budgets) do
    local key = KEYS[BUDGET_AT + i]
    touch_window(key, budget)
    if budget.shipped then learn_shipped(key, budget.total, budget.shipped) end
    count_own(key, budget.mine)
  end
  if not req.final then return {1} end
  for i, budget in ipairs(req.budgets) do
    if budget.held then
      local amount, want = share(KEYS[BUDGET_AT + i], budget)
      shares[#shares + 1] = {text(amount), text(want)}
    end
  end
  local alive, open = meet()
  return {open and 1 or 0, alive, shares}
end
"""
