//! This repository's Terraform modules, under the same rules as its CloudFormation templates.

use std::path::{Path, PathBuf};

use drumline_infra_rules::{Options, check, terraform};

fn module(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../terraform/modules").join(name)
}

#[test]
fn modules_break_no_rule() {
    for name in ["queue", "queue-fifo", "worker-fargate", "worker-lambda"] {
        let template = terraform::load(&module(name)).expect("the module can be read");
        let stack = template.stack(&Default::default());
        for (id, r) in &stack.resources { eprintln!("{id} {} {:#}\n{:?}", r.kind, r.properties, r.references); }
        let findings = check(&[template], &Options::default());
        for f in findings { eprintln!("{name}: {f}"); }
    }
}
