// `weights` of a slice: a row of keys for each cluster of the pass. First logits; then the weights of the keys outside the top-k, relative to
// the largest of them, and a mark for those in it.
#import params

const SELECTED: f32 = -1.0;

// Whether a key is in the top-k: weights are never negative.
fn is_selected(weight: f32) -> bool {
    return weight < 0.0;
}

fn weight_row(slice: Slice, pass_row: u32) -> u32 {
    return (slice.index * params.cut.cluster_rows + pass_row) * params.cut.keys_padded;
}
