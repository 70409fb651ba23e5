use drumline::{Context, Failure};

struct Welcome { name: Option<String> }

async fn welcome(_: Context, job: Welcome) -> Result<(), Failure> {
    let name = job.name?;
    println!("{name}");
    Ok(())
}

fn main() {}
