//! Heads between the artifact and the core: scorers and calibrations, written and read.

use tactful_core::score::{
    Calibration, Forest, Head, Knot, Linear, Link, ModelKind, Node, Scope, Scorer, Split, Spread, Tree,
};
use tactful_proto::artifact as proto;

/// A head as it is written.
pub(super) fn write(head: &Head) -> proto::Head {
    let (weights, bias, spread, forest) = match &head.scorer {
        Scorer::Linear(linear) => (linear.weights.clone(), linear.bias, linear.spread.as_ref().map(write_spread), None),
        Scorer::Forest(forest) => (Vec::new(), 0.0, None, Some(write_forest(forest))),
    };
    let scope = match head.scope {
        Scope::Action => proto::HeadScope::Action,
        Scope::Group => proto::HeadScope::Group,
        Scope::Global => proto::HeadScope::Global,
    };
    proto::Head {
        scope: scope.into(),
        id: head.id.clone(),
        weights,
        bias,
        rows: head.rows,
        positives: head.positives,
        forest,
        spread,
        calibration: write_calibration(&head.calibration),
    }
}

/// What scores in a head of a model of this kind. Numbers, columns and the shape of trees are left to
/// the core's own check.
pub(super) fn scorer(kind: ModelKind, head: &mut proto::Head) -> Result<Scorer, String> {
    match (kind, head.forest.take()) {
        (ModelKind::Linear, None) => {
            let spread = head.spread.take().map(|proto::Spread { centres, deviations, bias_variance }| Spread {
                centres,
                deviations,
                bias_variance,
            });
            Ok(Scorer::Linear(Linear { weights: std::mem::take(&mut head.weights), bias: head.bias, spread }))
        }
        (ModelKind::Linear, Some(_)) => Err("has trees in a linear model".into()),
        (ModelKind::Forest, None) => Err("has no trees".into()),
        (ModelKind::Forest, Some(_)) if !head.weights.is_empty() || head.spread.is_some() => {
            Err("has trees and weights".into())
        }
        (ModelKind::Forest, Some(forest)) => read_forest(forest).map(Scorer::Forest),
    }
}

/// The calibration of a head.
pub(super) fn calibration(calibration: Option<proto::Calibration>) -> Result<Calibration, String> {
    use proto::calibration::Curve;
    match calibration.map(|calibration| calibration.curve) {
        None => Ok(Calibration::None),
        Some(Some(Curve::Platt(proto::Platt { slope, intercept }))) => Ok(Calibration::Platt { slope, intercept }),
        Some(Some(Curve::Isotonic(proto::Isotonic { scored, observed }))) if scored.len() == observed.len() => {
            let knots = scored.into_iter().zip(observed).map(|(scored, observed)| Knot { scored, observed });
            Ok(Calibration::Isotonic(knots.collect()))
        }
        Some(Some(Curve::Isotonic(_))) => Err("has an isotonic calibration with a knot cut in half".into()),
        Some(None) => Err("has a calibration of no known curve".into()),
    }
}

fn write_calibration(calibration: &Calibration) -> Option<proto::Calibration> {
    use proto::calibration::Curve;
    let curve = match calibration {
        Calibration::None => return None,
        Calibration::Platt { slope, intercept } => Curve::Platt(proto::Platt { slope: *slope, intercept: *intercept }),
        Calibration::Isotonic(knots) => Curve::Isotonic(proto::Isotonic {
            scored: knots.iter().map(|knot| knot.scored).collect(),
            observed: knots.iter().map(|knot| knot.observed).collect(),
        }),
    };
    Some(proto::Calibration { curve: Some(curve) })
}

fn write_spread(spread: &Spread) -> proto::Spread {
    let Spread { centres, deviations, bias_variance } = spread.clone();
    proto::Spread { centres, deviations, bias_variance }
}

fn write_forest(forest: &Forest) -> proto::Forest {
    let link = match forest.link {
        Link::Identity => proto::Link::Identity,
        Link::Logistic => proto::Link::Logistic,
    };
    proto::Forest {
        trees: forest.trees.iter().map(write_tree).collect(),
        scale: forest.scale,
        base: forest.base,
        link: link.into(),
    }
}

fn write_tree(tree: &Tree) -> proto::Tree {
    let mut written = proto::Tree::default();
    for node in &tree.nodes {
        let split = match node {
            Node::Split(split) => *split,
            Node::Leaf(value) => {
                written.values.push(*value);
                Split { column: 0, threshold: 0.0, missing_left: false, left: 0 }
            }
        };
        written.columns.push(split.column);
        written.thresholds.push(split.threshold);
        written.left.push(split.left);
        written.missing_left.push(split.missing_left);
    }
    written
}

fn read_forest(forest: proto::Forest) -> Result<Forest, String> {
    let link = match forest.link() {
        proto::Link::Identity => Link::Identity,
        proto::Link::Logistic => Link::Logistic,
        proto::Link::Unspecified => return Err("has trees with no known link".into()),
    };
    let tree = |(at, tree)| read_tree(tree).map_err(|reason| format!("has a tree {at} {reason}"));
    let trees = forest.trees.into_iter().enumerate().map(tree).collect::<Result<_, String>>()?;
    Ok(Forest { trees, scale: forest.scale, base: forest.base, link })
}

fn read_tree(tree: proto::Tree) -> Result<Tree, String> {
    let nodes = tree.left.len();
    let lengths = [tree.columns.len(), tree.thresholds.len(), tree.missing_left.len()];
    let leaves = tree.left.iter().filter(|left| **left == 0).count();
    if lengths.iter().any(|length| *length != nodes) || tree.values.len() != leaves {
        return Err("whose parts do not have the same number of nodes".into());
    }
    let mut values = tree.values.into_iter();
    let splits = tree.columns.into_iter().zip(tree.thresholds).zip(tree.left).zip(tree.missing_left);
    let node = |(((column, threshold), left), missing_left)| match left {
        0 => values.next().map(Node::Leaf),
        left => Some(Node::Split(Split { column, threshold, missing_left, left })),
    };
    // As many values as leaves, counted above.
    Ok(Tree { nodes: splits.map_while(node).collect() })
}
