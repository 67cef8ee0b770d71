use anyhow::Result;
use beft::table::{Align, Table};
use beft::{PlanOptions, plan_memory};

use crate::args::PlanArgs;
use crate::output::{print_json, print_table, say};
use serde_json::json;

use super::fetch_model;

pub(crate) fn plan(args: &PlanArgs) -> Result<()> {
    fetch_model(&args.model)?;
    let options = PlanOptions {
        mode: args.terms.clone(),
        precision: args.precision,
        forward: args.forward,
        batch_size: args.batch_size.map(|n| n as usize),
        length: args.length.map(|n| n as usize),
        predicted: args.predicted.map(|n| n as usize),
    };
    let plan = plan_memory(&args.model, &options)?;
    if args.json.json {
        print_json(&json!({
            "parameters": plan.parameters, "trainable": plan.trainable, "weights": plan.weights,
            "packed": plan.packed, "activations": plan.activations, "optimizer": plan.optimizer,
            "program": plan.program, "total": plan.total(),
        }));
        return Ok(());
    }
    say!(
        "{}: {} values, of which {} are trained ({})",
        args.model,
        plan.parameters,
        plan.trainable,
        args.terms
    );
    let size = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let mut table = Table::new([("memory", Align::Left), ("", Align::Right)]);
    for (what, bytes) in [
        ("weights", plan.weights),
        ("transposes of the layers' matrices", plan.packed),
        ("activations", plan.activations),
        ("trained values and optimizer", plan.optimizer),
        ("the program and its threads", plan.program),
        ("in all, at its peak", plan.total()),
    ] {
        // A decoder's are not packed.
        if bytes == 0 {
            continue;
        }
        table.rows.push(vec![what.into(), size(bytes).into()]);
    }
    print_table(&table);
    Ok(())
}
