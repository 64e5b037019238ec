//! What can be counted in a sample, for whoever looks at single bytes otherwise.
//!
//! A count survives what a byte does not: a field that moves by a few places, a payload of another
//! length. Shares are of the sample without the zeros at its end.

use crate::engine::onnx::{Attribute, BYTES, Graph, TO_FLOAT};

/// What is counted: length, zeros, printable bytes, entropy of the whole and of both halves, and
/// each high nibble.
pub(crate) const COUNTED: usize = 6 + 16;
/// Entropy is in parts of a bit, so that 8 bits fill a byte.
const PARTS: f32 = 31.9;

/// Entropy of some bytes.
fn entropy(bytes: &[u8]) -> u8 {
    let mut counts = [0u32; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let len = bytes.len().max(1) as f32;
    let bits: f32 = counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| -(count as f32 / len) * (count as f32 / len).log2())
        .sum();
    (bits * PARTS) as u8
}

/// What is counted in a sample.
pub(crate) fn counted(sample: &[u8], to: &mut [u8]) {
    let len = sample.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
    let used = &sample[..len];
    let share = |count: usize| (count * 255 / len.max(1)) as u8;
    to[0] = (len * 255 / sample.len().max(1)) as u8;
    let zeros: usize = used.iter().map(|&byte| usize::from(byte == 0)).sum();
    to[1] = share(zeros);
    to[2] = share(used.iter().filter(|byte| (0x20..0x7f).contains(*byte)).count());
    to[3] = entropy(used);
    let (front, back) = used.split_at(len / 2);
    (to[4], to[5]) = (entropy(front), entropy(back));
    let mut nibbles = [0usize; 16];
    used.iter().for_each(|byte| nibbles[usize::from(byte >> 4)] += 1);
    to[6..].iter_mut().zip(nibbles).for_each(|(to, count)| *to = share(count));
}

/// The same as a graph: `bytes` become what goes in as whole numbers, and `counted` what is
/// counted in them, for samples of `width` bytes.
pub(crate) fn graph(graph: &mut Graph, width: usize) {
    let whole = |graph: &mut Graph, name: &str, values: &[f32]| {
        graph.floats(name, &[values.len()], values);
    };
    let places: Vec<f32> = (0..width).map(|at| at as f32).collect();
    let values: Vec<f32> = (0..=255u8).map(f32::from).collect();
    whole(graph, "places", &places);
    whole(graph, "values", &values);
    for (name, value) in [
        ("zero", 0.0),
        ("one", 1.0),
        ("half", 0.5),
        ("most", 255.0),
        ("width", width as f32),
        ("least", f32::MIN_POSITIVE),
        ("parts", -PARTS / std::f32::consts::LN_2),
    ] {
        whole(graph, name, &[value]);
    }
    graph.node("Mul", &[BYTES, "most"], &["near"], &[]);
    graph.node("Round", &["near"], &["bytes"], &[]);

    // How long the whole and its halves are, and which bytes are theirs.
    graph.node("Greater", &["bytes", "zero"], &["is_set"], &[]);
    graph.node("Cast", &["is_set"], &["set"], &[("to", TO_FLOAT)]);
    graph.node("Add", &["places", "one"], &["ends"], &[]);
    graph.node("Mul", &["set", "ends"], &["reached"], &[]);
    graph.node("ReduceMax", &["reached"], &["len"], &[("axes", Attribute::Ints(vec![1]))]);
    graph.node("Mul", &["len", "half"], &["half_len"], &[]);
    graph.node("Floor", &["half_len"], &["front_len"], &[]);
    graph.node("Sub", &["len", "front_len"], &["back_len"], &[]);
    for (name, len) in [("used", "len"), ("front", "front_len")] {
        let is = format!("is_{name}");
        graph.node("Less", &["places", len], &[&is], &[]);
        graph.node("Cast", &[&is], &[name], &[("to", TO_FLOAT)]);
    }
    graph.node("Sub", &["used", "front"], &["back"], &[]);
    // Axes and borders.
    graph.whole("first", &[0]);
    graph.whole("second", &[1]);
    graph.whole("third", &[2]);
    for name in ["used", "front", "back"] {
        graph.node("Unsqueeze", &[name, "second"], &[&format!("{name}_row")], &[]);
    }
    let rows = ["used_row", "front_row", "back_row"];
    graph.node("Concat", &rows, &["rows"], &[("axis", Attribute::Int(1))]);
    let lens = ["len", "front_len", "back_len"];
    graph.node("Concat", &lens, &["lens"], &[("axis", Attribute::Int(1))]);
    graph.node("Max", &["lens", "one"], &["some_lens"], &[]);
    graph.node("Unsqueeze", &["some_lens", "third"], &["over"], &[]);

    // How often each value is there, in the whole and its halves.
    graph.node("Unsqueeze", &["bytes", "third"], &["apart"], &[]);
    graph.node("Equal", &["apart", "values"], &["is_value"], &[]);
    graph.node("Cast", &["is_value"], &["value"], &[("to", TO_FLOAT)]);
    graph.node("MatMul", &["rows", "value"], &["counts"], &[]);
    graph.node("Div", &["counts", "over"], &["chances"], &[]);
    graph.node("Max", &["chances", "least"], &["chances_above"], &[]);
    graph.node("Log", &["chances_above"], &["logs"], &[]);
    graph.node("Mul", &["chances", "logs"], &["surprises"], &[]);
    let summed = [("keepdims", Attribute::Int(0))];
    graph.node("ReduceSum", &["surprises", "third"], &["nats"], &summed);
    graph.node("Mul", &["nats", "parts"], &["entropies"], &[]);

    // Zeros, printable bytes and nibbles are sums of the whole's counts.
    let mut sums = vec![0.0; 256 * (2 + 16)];
    for (value, sums) in sums.chunks_mut(2 + 16).enumerate() {
        sums[0] = f32::from(value == 0);
        sums[1] = f32::from((0x20..0x7f).contains(&value));
        sums[2 + (value >> 4)] = 1.0;
    }
    graph.floats("sums", &[256, 2 + 16], &sums);
    graph.node("Slice", &["counts", "first", "second", "second"], &["of_used"], &[]);
    graph.node("Squeeze", &["of_used", "second"], &["of_whole"], &[]);
    graph.node("MatMul", &["of_whole", "sums"], &["summed"], &[]);
    graph.node("Mul", &["summed", "most"], &["scaled"], &[]);
    graph.node("Max", &["len", "one"], &["some_len"], &[]);
    graph.node("Div", &["scaled", "some_len"], &["shares"], &[]);
    graph.whole("end", &[2 + 16]);
    graph.node("Slice", &["shares", "first", "third", "second"], &["kinds"], &[]);
    graph.node("Slice", &["shares", "third", "end", "second"], &["nibbles"], &[]);
    graph.node("Mul", &["len", "most"], &["long"], &[]);
    graph.node("Div", &["long", "width"], &["length"], &[]);
    let all = ["length", "kinds", "entropies", "nibbles"];
    graph.node("Concat", &all, &["exactly"], &[("axis", Attribute::Int(1))]);
    graph.node("Floor", &["exactly"], &["counted"], &[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted() {
        let mut to = [0; COUNTED];
        counted(&[0x41, 0x00, 0x41, 0xff, 0, 0, 0, 0], &mut to);
        assert_eq!(to[..3], [127, 63, 127]);
        assert_eq!((to[6], to[6 + 4], to[6 + 15]), (63, 127, 63));
        assert_eq!(entropy(&[7; 99]), 0);
        assert_eq!(entropy(&(0..=255).collect::<Vec<u8>>()), 255);
    }
}
