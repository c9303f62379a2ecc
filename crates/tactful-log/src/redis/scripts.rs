//! What must happen in Redis as a whole: scripts, which Redis runs one at a time and writes to its append-only
//! file as one transaction. Entry `n` of a partition has the stream id `n-0`.

use std::sync::LazyLock;

use redis::Script;

/// Number of the last entry that a stream ever had, 0 for none.
const LAST: &str = "
local function last(key)
  local info = redis.pcall('XINFO', 'STREAM', key)
  if info.err then return 0 end
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
end
local function digits(number) return string.format('%.0f', number) end
";

/// Appends a group of entries once.
///
/// Keys: the writer's own, the manifest, the streams. Arguments: sequence number of the group, the epoch, seconds
/// to remember the group, for each stream the last entry that this process has seen, then for each entry the
/// number of its stream and its payload. Answers the offset of each stream's first new entry, with commas.
/// A group that was appended already is not appended again, and gets its answer again; one that came late,
/// after its successor, is refused. So is every group once the log is another, or lost entries that were seen.
pub(crate) static APPEND: LazyLock<Script> = LazyLock::new(|| {
    let body = "
local sequence, seen = tonumber(ARGV[1]), redis.call('GET', KEYS[1])
if seen then
  local last_sequence, answer = string.match(seen, '^(%d+):(.*)$')
  if tonumber(last_sequence) == sequence then return answer end
  if tonumber(last_sequence) > sequence then return redis.error_reply('STALE group') end
end
if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[2] then return redis.error_reply('REPLACED log') end
local streams, tails, firsts = #KEYS - 2, {}, {}
for stream = 1, streams do
  tails[stream] = last(KEYS[stream + 2])
  if tails[stream] < tonumber(ARGV[stream + 3]) then return redis.error_reply('LOST ' .. KEYS[stream + 2]) end
  firsts[stream] = digits(tails[stream] + 1)
end
for at = streams + 4, #ARGV, 2 do
  local stream = tonumber(ARGV[at])
  tails[stream] = tails[stream] + 1
  redis.call('XADD', KEYS[stream + 2], digits(tails[stream]) .. '-0', 'd', ARGV[at + 1])
end
local answer = table.concat(firsts, ',')
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. answer, 'EX', ARGV[3])
return answer
";
    Script::new(&[LAST, body].concat())
});

/// Ends of streams. Keys: the manifest, the streams. Arguments: for each stream an entry, 0 for the last one.
/// Answers the epoch, and for each stream: the first entry that it holds or would, the last one ever,
/// and the payload of that entry, nil if it is not there.
pub(crate) static EXTENTS: LazyLock<Script> = LazyLock::new(|| {
    let body = "
local answer = {redis.call('HGET', KEYS[1], 'epoch')}
for stream = 2, #KEYS do
  local key, tail, at = KEYS[stream], last(KEYS[stream]), tonumber(ARGV[stream - 1])
  if at == 0 then at = tail end
  local first, held = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1], nil
  if at > 0 then held = redis.call('XRANGE', key, digits(at) .. '-0', digits(at) .. '-0')[1] end
  answer[stream] = {first and string.match(first[1], '^%d+') or digits(tail + 1), digits(tail), held and held[2][2] or false}
end
return answer
";
    Script::new(&[LAST, body].concat())
});

/// Moves an entry of the intake to the dead list, unless it is there no more: settled by somebody else, or erased.
///
/// Keys: intake, dead list. Arguments: the entry, how many the list holds at most, then the fields to list it with.
pub(crate) static BURY: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', unpack(ARGV, 3))
return 1
",
    )
});

/// Removes the entries of a stream below a number. Answers the first entry that it holds or would.
pub(crate) static TRIM: LazyLock<Script> = LazyLock::new(|| {
    let body = "
local tail = last(KEYS[1])
redis.call('XTRIM', KEYS[1], 'MINID', '=', digits(math.min(tonumber(ARGV[1]), tail + 1)) .. '-0')
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
return first and string.match(first[1], '^%d+') or digits(tail + 1)
";
    Script::new(&[LAST, body].concat())
});

/// Sets a key from an expected value, or from nothing if none is given. Answers whether it did.
pub(crate) static COMPARE_AND_SET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
if redis.call('GET', KEYS[1]) ~= (ARGV[2] or false) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
",
    )
});

/// Grants a lease. Keys: the lease, its count of tokens. Arguments: holder, milliseconds. Answers the token, 0 if
/// someone else holds it.
pub(crate) static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
local holder = redis.call('HGET', KEYS[1], 'holder')
if holder and holder ~= ARGV[1] then return 0 end
local token = redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'token', token)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return token
",
    )
});

/// Moves the end of a lease that is held under this token; to 0 milliseconds gives it back. Answers whether it was.
pub(crate) static EXTEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
",
    )
});

/// Makes the manifest if there is none. Arguments: format, partitions, epoch. Answers what it holds.
pub(crate) static MANIFEST: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'format', ARGV[1], 'partitions', ARGV[2], 'epoch', ARGV[3])
end
return redis.call('HMGET', KEYS[1], 'format', 'partitions', 'epoch')
",
    )
});
