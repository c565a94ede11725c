//! A tape in sixty lines, of plain numbers and without any crate: what `src/autograd` is at heart.
//!
//! `cargo run --example 01_tape_by_hand` records f = (x·y + x)², five nodes, and reads them backwards.

/// A node by its position on the tape.
#[derive(Clone, Copy)]
struct Var(usize);

/// What a node knows: its value, and for each parent the slope d node / d parent.
struct Node {
    value: f64,
    parents: Vec<(Var, f64)>,
}

#[derive(Default)]
struct Tape {
    nodes: Vec<Node>,
}

impl Tape {
    fn record(&mut self, value: f64, parents: Vec<(Var, f64)>) -> Var {
        self.nodes.push(Node { value, parents });
        Var(self.nodes.len() - 1)
    }

    fn variable(&mut self, value: f64) -> Var {
        self.record(value, vec![])
    }

    fn add(&mut self, a: Var, b: Var) -> Var {
        self.record(self.nodes[a.0].value + self.nodes[b.0].value, vec![(a, 1.0), (b, 1.0)])
    }

    fn multiply(&mut self, a: Var, b: Var) -> Var {
        let (x, y) = (self.nodes[a.0].value, self.nodes[b.0].value);
        self.record(x * y, vec![(a, y), (b, x)])
    }

    /// d root / d node, for every node: one walk from the last to the first.
    fn backward(&self, root: Var) -> Vec<f64> {
        let mut gradients = vec![0.0; self.nodes.len()];
        gradients[root.0] = 1.0;
        for (index, node) in self.nodes.iter().enumerate().rev() {
            for &(parent, slope) in &node.parents {
                // A node that was used twice is told twice, and adds up what it is told.
                gradients[parent.0] += slope * gradients[index];
            }
        }
        gradients
    }
}

fn main() {
    let mut tape = Tape::default();
    let (x, y) = (tape.variable(2.0), tape.variable(-3.0));
    let product = tape.multiply(x, y);
    let sum = tape.add(product, x);
    let f = tape.multiply(sum, sum);
    let gradients = tape.backward(f);
    for (name, Var(node)) in [("x", x), ("y", y), ("x·y", product), ("x·y + x", sum), ("(x·y + x)²", f)] {
        println!("{name:12} {:6} {:6}", tape.nodes[node].value, gradients[node]);
    }
    assert_eq!((gradients[x.0], gradients[y.0]), (16.0, -16.0));
}
