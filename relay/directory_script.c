#include "relay/directory_script.h"

/*
 * KEYS[1] is the UUID's own hash: "NODE KEY" -> "SESSION INCARNATION BOOT SLOT
 * MODE RANK CAPABILITIES EXPIRY".  Beside it: the hash of nodes, NODE ->
 * "INCARNATION ADDRESS"; "born", when this data began; bind:UUID, the key that
 * claimed it first; prefer:UUID, whose agent made the last session.
 */
#define SCRIPT_HEAD                                                            \
	"local prefix = 'attest-relay:'\n"                                     \
	"local t = redis.call('TIME')\n"                                       \
	"local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"                  \
	"local function text(n) return string.format('%.0f', n) end\n"

/* Does the incarnation of ${node} that wrote an entry still run? */
#define SCRIPT_ALIVE                                                           \
	"local function alive(node, inc)\n"                                    \
	"  local at = redis.call('HGET', prefix .. 'nodes', node)\n"           \
	"  return at and at:match('^(%S+)') == inc\n"                          \
	"end\n"                                                                \
	"local form = '^(%d+) (%S+) (%S+) (%d+) (%d) (%d+) (%d+) (%d+)$'\n"

static const char join[] = SCRIPT_HEAD
    "if ARGV[4] == '1' and\n"
    "    redis.call('HEXISTS', prefix .. 'nodes', ARGV[1]) == 1 then\n"
    "  return 1\n"
    "end\n"
    "redis.call('HSET', prefix .. 'nodes', ARGV[1],\n"
    "  ARGV[2] .. ' ' .. ARGV[3])\n"
    "redis.call('SET', prefix .. 'born', text(now), 'NX')\n"
    "return 2\n";

static const char claim[] = SCRIPT_HEAD SCRIPT_ALIVE
    "local node, inc, session, key = ARGV[1], ARGV[2], ARGV[3], ARGV[4]\n"
    "local boot, slot, mode = ARGV[5], ARGV[6], ARGV[7]\n"
    "local lease, fence = tonumber(ARGV[10]), ARGV[11]\n"
    "local certain, bind = ARGV[12] == '1', ARGV[13] == '1'\n"
    "local grace = tonumber(ARGV[14])\n"
    "local own = node .. ' ' .. key\n"
    "local all = redis.call('HGETALL', KEYS[1])\n"
    "local drop, tell, known = {}, {}, false\n"
    "for i = 1, #all, 2 do\n"
    "  local onode, okey = all[i]:match('^(%S+) (%S+)$')\n"
    "  local osession, oinc, oboot, oslot, omode, _, _, expiry =\n"
    "    all[i + 1]:match(form)\n"
    "  if not onode or not osession or not alive(onode, oinc) then\n"
    "    drop[#drop + 1] = all[i]\n"
    "  elseif okey == key then\n"
    "    known = true\n"
    "    local rival = onode == node or oboot ~= boot or oslot == slot\n"
    "    if rival and (osession > session or\n"
    "        (osession == session and expiry == '0')) and\n"
    "        (onode == node or tonumber(expiry) > now) then\n"
    "      return 2\n"
    "    end\n"
    /* Until that relay itself gives it back, its tunnel may still be served:
     * the entry leads nowhere from now on, but bars other keys. */
    "    if rival and onode ~= node then\n"
    "      tell[#tell + 1] = { onode, okey, osession, all[i],\n"
    "        (all[i + 1]:gsub('%d+$', '0')) }\n"
    "    end\n"
    /* Lapsed or not: as long as that relay may still serve it, it bars us. */
    "  elseif omode ~= '1' or mode ~= '1' then\n"
    "    return 0\n"
    "  end\n"
    "end\n"
    /* A key that is among them stays. */
    "if not known and #all - 2 * #drop >= 64 then return 0 end\n"
    "local name, fresh = prefix .. 'bind:' .. KEYS[1], false\n"
    "if bind then\n"
    "  local bound = redis.call('GET', name)\n"
    "  if bound and bound ~= key then return 0 end\n"
    "  fresh = not bound\n"
    "end\n"
    /* Data that has just begun may be data that was lost: let those who held
     * something come back first. */
    "if not known and not certain then\n"
    "  local born = redis.call('GET', prefix .. 'born')\n"
    "  if not born or now < tonumber(born) + grace then return 3 end\n"
    "end\n"
    "if fresh then redis.call('SET', name, key) end\n"
    "if #drop > 0 then redis.call('HDEL', KEYS[1], unpack(drop)) end\n"
    "redis.call('HSET', KEYS[1], own, table.concat({ session, inc, boot, slot,\n"
    "  mode, ARGV[8], ARGV[9], text(now + lease) }, ' '))\n"
    "redis.call('PEXPIRE', KEYS[1], fence)\n"
    "for _, v in ipairs(tell) do\n"
    "  redis.call('HSET', KEYS[1], v[4], v[5])\n"
    "  redis.call('PUBLISH', prefix .. 'lost:' .. v[1],\n"
    "    KEYS[1] .. ' ' .. v[2] .. ' ' .. v[3])\n"
    "end\n"
    "return fresh and 4 or 1\n";

static const char withdraw[] = "local own = ARGV[1] .. ' ' .. ARGV[2]\n"
			       "local at = redis.call('HGET', KEYS[1], own)\n"
			       "if at and at:match('^(%d+)') == ARGV[3] then\n"
			       "  return redis.call('HDEL', KEYS[1], own)\n"
			       "end\n"
			       "return 0\n";

static const char find[] = SCRIPT_HEAD SCRIPT_ALIVE
    "local first = redis.call('GET', prefix .. 'prefer:' .. KEYS[1]) or ''\n"
    "local out, list = { first }, {}\n"
    "local all = redis.call('HGETALL', KEYS[1])\n"
    "for i = 1, #all, 2 do\n"
    "  local node, key = all[i]:match('^(%S+) (%S+)$')\n"
    "  local session, inc, _, _, mode, rank, caps, expiry =\n"
    "    all[i + 1]:match(form)\n"
    "  if node and session and node ~= ARGV[1] and\n"
    "      tonumber(expiry) > now and alive(node, inc) then\n"
    "    local at = redis.call('HGET', prefix .. 'nodes', node)\n"
    "    list[#list + 1] = { node, at:match('^%S+ (%S+)$') or '', session,\n"
    "      key, mode, rank, caps }\n"
    "  end\n"
    "end\n"
    /* More than are taken: those that would be asked first. */
    "table.sort(list, function(a, b)\n"
    "  if (a[4] == first) ~= (b[4] == first) then return a[4] == first end\n"
    "  return tonumber(a[6]) < tonumber(b[6])\n"
    "end)\n"
    "for i = 1, math.min(#list, tonumber(ARGV[2])) do\n"
    "  for _, v in ipairs(list[i]) do out[#out + 1] = v end\n"
    "end\n"
    "return out\n";

static const char prefer[] =
    "redis.call('SET', 'attest-relay:prefer:' .. KEYS[1], ARGV[1], 'PX',\n"
    "  ARGV[2])\n"
    "return 1\n";

static const char release[] =
    "local name = 'attest-relay:bind:' .. KEYS[1]\n"
    "if ARGV[1] ~= '' and redis.call('GET', name) ~= ARGV[1] then\n"
    "  return 0\n"
    "end\n"
    "return redis.call('DEL', name)\n";

const char *
directory_script_text(enum directory_script s)
{
	static const char *const texts[DIRECTORY_SCRIPTS] = {
		[SCRIPT_JOIN] = join,
		[SCRIPT_CLAIM] = claim,
		[SCRIPT_WITHDRAW] = withdraw,
		[SCRIPT_FIND] = find,
		[SCRIPT_PREFER] = prefer,
		[SCRIPT_RELEASE] = release,
	};

	return texts[s];
}
