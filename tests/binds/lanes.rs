//! Many requests with many faults, as cells of a table: several lanes of them run at once, because they mostly wait for time to pass.

use futures_util::future::join_all;
use tokio::task::JoinHandle;

/// How many cells a lane had, and what was wrong in some.
pub type LaneOutcome = (usize, Vec<String>);

/// Waits for all lanes, in which nothing may be wrong; how many cells they had.
pub async fn all_right(lanes: Vec<JoinHandle<LaneOutcome>>) -> usize {
    let (mut cells, mut wrong) = (0, Vec::new());
    for done in join_all(lanes).await {
        let (count, differences) = done.unwrap();
        cells += count;
        wrong.extend(differences);
    }
    println!("{cells} cells, {} wrong", wrong.len());
    assert!(
        wrong.is_empty(),
        "{} of {cells}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    cells
}
