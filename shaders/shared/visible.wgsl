// Which keys a query sees. Twin of `src/problem/visibility.rs`: `position_of` is `position`, `keys_of` and `keys_of_tile` have its names.
#import params

// Keys in ascending order, as two runs that lie apart: the first `sinks`, then from `begin` to `end`.
struct Keys {
    sinks: u32,
    begin: u32,
    end: u32,
}

// Where a query stands among the keys, by the valid lengths of its sequence.
fn position_of(query: u32, query_length: u32, key_length: u32) -> i32 {
    let offset = i32(key_length) - i32(query_length);
    // Fewer keys than queries in tensors of equal lengths are padding.
    return i32(query) + select(offset, max(offset, 0), params.sizes.queries == params.sizes.keys);
}

// What any query at a position from `first` to `last` sees of `keys` valid keys.
fn keys_of_tile(reach: Reach, first: i32, last: i32, keys: u32) -> Keys {
    let most = i32(keys);
    let begin = u32(clamp(first - reach.left, 0, most));
    let end = u32(clamp(last + reach.right + 1, 0, most));
    let sinks = min(reach.sinks, select(keys, u32(clamp(last + 1, 0, most)), reach.causal == 1u));
    if (sinks >= begin) {
        return Keys(0u, 0u, max(sinks, end));
    }
    return Keys(sinks, begin, max(begin, end));
}

// What the query at `position` sees of `keys` valid keys.
fn keys_of(reach: Reach, position: i32, keys: u32) -> Keys {
    return keys_of_tile(reach, position, position, keys);
}

fn count_of(keys: Keys) -> u32 {
    return keys.sinks + keys.end - keys.begin;
}

// The key at an index of the runs.
fn listed_key(keys: Keys, index: u32) -> u32 {
    return select(keys.begin + index - keys.sinks, index, index < keys.sinks);
}

fn is_listed(keys: Keys, key: u32) -> bool {
    return key < keys.sinks || (key >= keys.begin && key < keys.end);
}
