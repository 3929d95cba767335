-- Masks secrets in every text of a record. Lua's patterns are no regular expressions, so that this finds values behind a telling
-- name, bearer tokens, JSON web tokens, passwords in URLs, keys of AWS and GitHub, and private keys that stand in one line.
-- It does not find secrets in arrays of bytes, in hex, or cut over several lines; `kata-audit collect` does.
local NAMES = {
    "password", "passwd", "passphrase", "secret", "token", "api_key", "api-key", "apikey", "access_key", "access-key", "private_key", "private-key",
}
local MASK = "*masked*"

local function behind_names(text)
    local small = string.lower(text)
    for _, name in ipairs(NAMES) do
        local from = 1
        while true do
            local _, last = string.find(small, name, from, true)
            if not last then break end
            -- NAME=value, NAME: value, "NAME":"value", and with escaped quotes inside another text.
            local at, stop = string.match(text, '^[%w_%-]*\\*"?%s*[=:]%s*\\*"?()[^%s"\\,;&%]}]+()', last + 1)
            if at then
                text = string.sub(text, 1, at - 1) .. MASK .. string.sub(text, stop)
                small = string.lower(text)
                from = at + #MASK
            else
                from = last + 1
            end
        end
    end
    return text
end

local function masked(text)
    local out = behind_names(text)
    out = string.gsub(out, "([Bb]earer )[%w%-%._~%+/=]+", "%1" .. MASK)
    out = string.gsub(out, "eyJ[%w_%-]+%.[%w_%-]+%.[%w_%-]+", MASK)
    out = string.gsub(out, "(://[^%s:/@]+:)[^%s/@]+@", "%1" .. MASK .. "@")
    out = string.gsub(out, "AKIA%u%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w", MASK)
    out = string.gsub(out, "gh[pousr]_%w+", MASK)
    out = string.gsub(out, "%-%-%-%-%-BEGIN [%u ]*PRIVATE KEY%-%-%-%-%-.-%-%-%-%-%-END [%u ]*PRIVATE KEY%-%-%-%-%-", MASK)
    return out
end

local function each(value)
    local changed = false
    for key, inner in pairs(value) do
        if type(inner) == "string" then
            local now = masked(inner)
            if now ~= inner then value[key] = now; changed = true end
        elseif type(inner) == "table" then
            changed = each(inner) or changed
        end
    end
    return changed
end

-- 2: the record was changed, its time was not; 0: nothing was.
function mask(tag, timestamp, record)
    if each(record) then return 2, timestamp, record end
    return 0, timestamp, record
end
