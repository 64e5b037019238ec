//! Writes ONNX models: just enough of protocol buffers for the graphs that there are here
//! (`onnx.proto3`, IR version 8, operators 13, `ai.onnx.ml` 3).

use crate::engine::store::Head;

/// What goes in: bytes of samples over 255.
pub(crate) const BYTES: &str = "input";
/// What goes in: features of samples.
pub(crate) const FEATURES: &str = "features";
/// What comes out.
pub(crate) const PROBABILITIES: &str = "probabilities";

/// Type of a tensor's elements (`TensorProto.DataType`).
const FLOAT: u64 = 1;
const UINT8: u64 = 2;
const INT64: u64 = 7;
const DOUBLE: u64 = 11;

/// What `Cast` makes.
pub(crate) const TO_FLOAT: Attribute<'_> = Attribute::Int(FLOAT as i64);
pub(crate) const TO_DOUBLE: Attribute<'_> = Attribute::Int(DOUBLE as i64);

/// A message under way.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: &Message) -> Self {
        self.bytes(field, &message.0)
    }
}

/// What an operator is told beside its inputs.
pub(crate) enum Attribute<'a> {
    Int(i64),
    Text(&'a str),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<&'a str>),
}

impl Attribute<'_> {
    /// `AttributeProto`: name 1, i 3, s 4, floats 7, ints 8, strings 9, type 20.
    fn message(&self, name: &str) -> Message {
        let message = Message::default().text(1, name);
        match self {
            Attribute::Int(value) => message.number(3, *value as u64).number(20, 2),
            Attribute::Text(text) => message.text(4, text).number(20, 3),
            Attribute::Floats(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                message.bytes(7, &bytes).number(20, 6)
            }
            Attribute::Ints(values) => {
                let mut packed = Message::default();
                values.iter().for_each(|value| packed.varint(*value as u64));
                message.bytes(8, &packed.0).number(20, 7)
            }
            Attribute::Texts(texts) => {
                texts.iter().fold(message, |message, text| message.text(9, text)).number(20, 8)
            }
        }
    }
}

/// A graph from samples by bytes, features or both to samples by classes.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<Message>,
    constants: Vec<Message>,
}

impl Graph {
    /// A tensor of numbers.
    pub(crate) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, shape, FLOAT, &bytes);
    }

    /// A column of numbers in double precision.
    pub(crate) fn doubles(&mut self, name: &str, values: &[f64]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, &[values.len()], DOUBLE, &bytes);
    }

    /// Rows of bytes.
    pub(crate) fn bytes(&mut self, name: &str, shape: &[usize], values: &[u8]) {
        self.constant(name, shape, UINT8, values);
    }

    /// A column of whole numbers.
    pub(crate) fn whole(&mut self, name: &str, values: &[i64]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, &[values.len()], INT64, &bytes);
    }

    /// `TensorProto`: dims 1, data_type 2, name 8, raw_data 9.
    fn constant(&mut self, name: &str, shape: &[usize], kind: u64, bytes: &[u8]) {
        let message = shape.iter().fold(Message::default(), |m, &size| m.number(1, size as u64));
        self.constants.push(message.number(2, kind).text(8, name).bytes(9, bytes));
    }

    /// An operator. `NodeProto`: input 1, output 2, op_type 4, attribute 5, domain 7.
    pub(crate) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
    ) {
        let message = inputs.iter().fold(Message::default(), |m, input| m.text(1, input));
        let message = outputs.iter().fold(message, |m, output| m.text(2, output));
        let message = message.text(4, operator);
        let mut message = attributes
            .iter()
            .fold(message, |m, (name, attribute)| m.message(5, &attribute.message(name)));
        if operator.starts_with("TreeEnsemble") {
            message = message.text(7, "ai.onnx.ml");
        }
        self.nodes.push(message);
    }

    /// `input * weight^T + bias`; the weight is by output and input.
    pub(crate) fn dense(&mut self, input: &str, name: &str, output: &str) {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let turned = [("transB", Attribute::Int(1))];
        self.node("Gemm", &[input, &weight, &bias], &[output], &turned);
    }

    /// Scores to probabilities: the end.
    pub(crate) fn softmax(&mut self, input: &str) {
        self.node("Softmax", &[input], &[PROBABILITIES], &[("axis", Attribute::Int(1))]);
    }

    /// The model that takes `inputs`, so wide. `ModelProto`: ir_version 1, producer_name 2, graph 7, opset_import 8;
    /// `GraphProto`: node 1, name 2, initializer 5, input 11, output 12.
    pub(crate) fn model(self, head: Head, inputs: &[(&str, usize)]) -> Vec<u8> {
        let graph = self.nodes.iter().fold(Message::default(), |m, node| m.message(1, node));
        let graph = self.constants.iter().fold(graph.text(2, head.name), |m, c| m.message(5, c));
        let graph =
            inputs.iter().fold(graph, |m, &(name, width)| m.message(11, &value(name, width)));
        let graph = graph.message(12, &value(PROBABILITIES, head.classes));
        let operators = Message::default().text(1, "").number(2, 13);
        let trees = Message::default().text(1, "ai.onnx.ml").number(2, 3);
        Message::default()
            .number(1, 8)
            .text(2, "ottoscope")
            .message(7, &graph)
            .message(8, &operators)
            .message(8, &trees)
            .0
    }
}

/// `ValueInfoProto` of a matrix with any number of rows.
fn value(name: &str, columns: usize) -> Message {
    let rows = Message::default().text(2, "samples");
    let columns = Message::default().number(1, columns as u64);
    let shape = Message::default().message(1, &rows).message(1, &columns);
    let tensor = Message::default().number(1, FLOAT).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_varints() {
        assert_eq!(Message::default().number(20, 300).0, [0xa0, 0x01, 0xac, 0x02]);
        assert_eq!(Message::default().text(1, "a").0, [0x0a, 1, b'a']);
        // A negative number takes ten bytes, as protocol buffers have it.
        assert_eq!(Message::default().number(3, -1i64 as u64).0.len(), 11);
    }
}
