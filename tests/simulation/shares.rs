//! What is drawn by weight: one of a list in which each thing has its share.

/// One of these, each as often as its share of all of them.
pub fn drawn<T: Copy>(shares: &[(T, usize)], random: &mut fastrand::Rng) -> T {
    let all: usize = shares.iter().map(|(_, share)| share).sum();
    let mut left = random.usize(..all);
    for (thing, share) in shares {
        match left.checked_sub(*share) {
            Some(more) => left = more,
            None => return *thing,
        }
    }
    unreachable!("what is drawn is below the sum of the shares")
}
