//! One account has one claimant: two people, two syncs, successors, accounts made by somebody else.
