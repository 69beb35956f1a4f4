//! PromQL, as far as the tests ask what an expression names: the series it selects and the labels it speaks of.

use std::collections::BTreeSet;

use promql_parser::{
    label::{MatchOp, Matchers},
    parser::{
        self, AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality,
        VectorSelector, token,
    },
};

use crate::{
    config::string,
    dashboards::{filled, queries},
    rules,
};

/// Labels, or `None` where nothing is known of them.
pub type Labels = Option<BTreeSet<String>>;

/// The series that an expression selects by name and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The name of the series.
    pub series: String,
    /// The labels that it has to match.
    pub matched: BTreeSet<String>,
    /// The function that is applied to it directly, such as `rate`.
    pub function: Option<String>,
}

/// Every expression of the rules and the dashboards without Grafana's variables, with the place where it stands.
///
/// # Panics
/// When a file cannot be read.
pub fn expressions() -> Vec<(String, String)> {
    let of_rules = rules::all().map(|rule| {
        let name = rule["alert"].as_str().or(rule["record"].as_str());
        let name = name.expect("a rule has a name").to_owned();
        (name, string(&rule, "expr").to_owned())
    });
    let of_dashboards = queries()
        .into_iter()
        .filter(|query| query.source == "prometheus")
        .map(|query| (query.place, filled(&query.text)));
    of_rules.chain(of_dashboards).collect()
}

/// Reads an expression.
///
/// # Errors
/// What the parser does not understand.
pub fn parse(text: &str) -> Result<Expr, String> {
    parser::parse(text)
}

/// Everything that an expression selects.
///
/// # Panics
/// When a selector has no name: what it selects cannot be told then.
pub fn selections(expr: &Expr) -> Vec<Selection> {
    let mut found = Vec::new();
    collect(expr, None, &mut found);
    found
}

fn collect(expr: &Expr, function: Option<&str>, found: &mut Vec<Selection>) {
    let selector = match expr {
        Expr::VectorSelector(selector) => selector,
        Expr::MatrixSelector(matrix) => &matrix.vs,
        Expr::Call(call) => {
            for argument in &call.args.args {
                collect(argument, Some(call.func.name), found);
            }
            return;
        }
        other => {
            for child in children(other) {
                collect(child, None, found);
            }
            return;
        }
    };
    found.push(Selection {
        series: selector
            .name
            .clone()
            .unwrap_or_else(|| panic!("`{expr}` names no metric")),
        matched: matched(&selector.matchers).collect(),
        function: function.map(str::to_owned),
    });
}

fn matched(matchers: &Matchers) -> impl Iterator<Item = String> {
    let alternatives = matchers.or_matchers.iter().flatten();
    matchers
        .matchers
        .iter()
        .chain(alternatives)
        .map(|matcher| matcher.name.clone())
}

fn children(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Aggregate(aggregate) => aggregate
            .param
            .iter()
            .chain([&aggregate.expr])
            .map(AsRef::as_ref)
            .collect(),
        Expr::Unary(unary) => vec![&unary.expr],
        Expr::Binary(binary) => vec![&binary.lhs, &binary.rhs],
        Expr::Paren(paren) => vec![&paren.expr],
        Expr::Subquery(subquery) => vec![&subquery.expr],
        Expr::Call(call) => call.args.args.iter().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    }
}

/// Every label that the expression groups or joins by and that its operand does not have, with that operand.
pub fn unknown_labels(expr: &Expr, of_series: &dyn Fn(&str) -> Labels) -> Vec<String> {
    let mut unknown = Vec::new();
    let mut check = |operand: &Expr, named: &BTreeSet<String>| {
        if let Some(known) = labels(operand, of_series) {
            let missing = named.difference(&known);
            unknown.extend(missing.map(|label| format!("`{label}` of {operand}")));
        }
    };
    match expr {
        Expr::Aggregate(AggregateExpr { expr, modifier, .. }) => {
            check(expr, &named(modifier.as_ref()));
        }
        Expr::Binary(BinaryExpr {
            lhs, rhs, modifier, ..
        }) => {
            if let Some(modifier) = modifier
                && let Some(on @ LabelModifier::Include(_)) = &modifier.matching
            {
                check(lhs, &named(Some(on)));
                check(rhs, &named(Some(on)));
            }
        }
        Expr::Call(call) if call.func.name == "label_replace" => {
            let source = text(&call.args.args[3]);
            check(
                &call.args.args[0],
                &source
                    .into_iter()
                    .filter(|label| !label.is_empty())
                    .collect(),
            );
        }
        _ => {}
    }
    for child in children(expr) {
        unknown.extend(unknown_labels(child, of_series));
    }
    unknown
}

fn named(modifier: Option<&LabelModifier>) -> BTreeSet<String> {
    modifier
        .into_iter()
        .flat_map(|modifier| modifier.labels().labels.iter().cloned())
        .collect()
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::StringLiteral(literal) => Some(literal.val.clone()),
        _ => None,
    }
}

/// The labels of the series that an expression results in, without the metric's name.
pub fn labels(expr: &Expr, of_series: &dyn Fn(&str) -> Labels) -> Labels {
    let of = |expr: &Expr| labels(expr, of_series);
    match expr {
        Expr::VectorSelector(selector) => of_series(selector.name.as_deref()?),
        Expr::MatrixSelector(matrix) => of_series(matrix.vs.name.as_deref()?),
        Expr::Unary(unary) => of(&unary.expr),
        Expr::Paren(paren) => of(&paren.expr),
        Expr::Subquery(subquery) => of(&subquery.expr),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Some(BTreeSet::new()),
        Expr::Extension(_) => None,
        Expr::Aggregate(aggregate) => aggregated(aggregate, of(&aggregate.expr)),
        Expr::Binary(binary) => combined(binary, of(&binary.lhs), of(&binary.rhs)),
        Expr::Call(call) => called(call, &of),
    }
}

fn aggregated(aggregate: &AggregateExpr, labels: Labels) -> Labels {
    // They pick series and leave them as they are.
    if [token::T_TOPK, token::T_BOTTOMK].contains(&aggregate.op.id()) {
        return labels;
    }
    match &aggregate.modifier {
        None => Some(BTreeSet::new()),
        Some(modifier @ LabelModifier::Include(_)) => Some(named(Some(modifier))),
        Some(modifier @ LabelModifier::Exclude(_)) => Some(&labels? - &named(Some(modifier))),
    }
}

fn combined(binary: &BinaryExpr, left: Labels, right: Labels) -> Labels {
    match binary.op.id() {
        token::T_LAND | token::T_LUNLESS => return left,
        token::T_LOR => return Some(&left? | &right?),
        _ => {}
    }
    let Some(modifier) = &binary.modifier else {
        // A number takes the labels of the other side.
        return Some(&left? | &right?);
    };
    match (&modifier.card, &modifier.matching) {
        (VectorMatchCardinality::ManyToOne(extra), _) => Some(&left? | &set(extra)),
        (VectorMatchCardinality::OneToMany(extra), _) => Some(&right? | &set(extra)),
        (_, Some(on @ LabelModifier::Include(_))) => Some(named(Some(on))),
        (_, Some(ignoring)) => Some(&left? - &named(Some(ignoring))),
        (_, None) => Some(&left? | &right?),
    }
}

fn set(labels: &promql_parser::label::Labels) -> BTreeSet<String> {
    labels.labels.iter().cloned().collect()
}

fn called(call: &Call, of: &dyn Fn(&Expr) -> Labels) -> Labels {
    let arguments = &call.args.args;
    match call.func.name {
        "vector" | "time" | "scalar" => Some(BTreeSet::new()),
        // Only what the selector says for certain.
        "absent" => Some(match &*arguments[0] {
            Expr::VectorSelector(selector) => fixed(selector),
            _ => BTreeSet::new(),
        }),
        "label_replace" => {
            let mut labels = of(&arguments[0])?;
            labels.extend(text(&arguments[1]));
            Some(labels)
        }
        "histogram_quantile" => {
            let mut labels = of(&arguments[1])?;
            labels.remove("le");
            Some(labels)
        }
        _ => of(&arguments[0]),
    }
}

fn fixed(selector: &VectorSelector) -> BTreeSet<String> {
    let matchers = selector.matchers.matchers.iter();
    matchers
        .filter(|matcher| matcher.op == MatchOp::Equal)
        .map(|matcher| matcher.name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_series(series: &str) -> Labels {
        match series {
            "a" => Some(["x", "y"].map(str::to_owned).into()),
            "b_bucket" => Some(["x", "le"].map(str::to_owned).into()),
            _ => None,
        }
    }

    #[test]
    fn a_result_has_the_labels_that_prometheus_gives_it() {
        for (text, expected) in [
            ("a", "x,y"),
            ("sum(a)", ""),
            ("sum by (x) (rate(a[1m]))", "x"),
            ("max without (x) (a)", "y"),
            ("topk(3, a)", "x,y"),
            ("a > 5", "x,y"),
            ("a / on (x) sum by (x) (a)", "x"),
            ("sum by (x) (a) * on (x) group_left (y) a", "x,y"),
            ("a unless on (x) sum by (x) (a)", "x,y"),
            ("sum by (x) (a) or sum by (y) (a)", "x,y"),
            (r#"absent(a{x="1", y=~"2"})"#, "x"),
            (r#"label_replace(sum(a), "z", "$1", "x", "(.+)")"#, "z"),
            (
                "histogram_quantile(0.9, sum by (le, x) (rate(b_bucket[1m])))",
                "x",
            ),
            ("-a", "x,y"),
        ] {
            let found = labels(&parse(text).unwrap(), &of_series).unwrap();
            let found: Vec<String> = found.into_iter().collect();
            assert_eq!(found.join(","), expected, "{text}");
        }
        assert_eq!(labels(&parse("unheard_of").unwrap(), &of_series), None);
    }

    #[test]
    fn a_label_that_an_operand_lacks_is_found_wherever_it_is_named() {
        for (text, expected) in [
            ("sum by (z) (a)", "`z` of a"),
            ("max(a) - max by (q) (a)", "`q` of a"),
            ("a and on (z) b_bucket", "`z` of a;`z` of b_bucket"),
            (r#"label_replace(a, "z", "$1", "q", "(.+)")"#, "`q` of a"),
            ("sum by (x) (a)", ""),
            (r#"label_replace(a, "z", "one", "", "")"#, ""),
        ] {
            let unknown = unknown_labels(&parse(text).unwrap(), &of_series);
            assert_eq!(unknown.join(";"), expected, "{text}");
        }
    }

    #[test]
    fn selections_tell_name_matched_labels_and_function() {
        let expr = parse(r#"sum(rate(a{x="1"}[1m])) / on () (b > 0)"#).unwrap();
        let found = selections(&expr);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].series, "a");
        assert_eq!(found[0].matched, BTreeSet::from(["x".to_owned()]));
        assert_eq!(found[0].function.as_deref(), Some("rate"));
        assert_eq!(found[1].function, None);
    }
}
