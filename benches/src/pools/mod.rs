//! Pools of threads side by side: what the rows of `cpu` and of `threads` have in common.
//!
//! | file | what |
//! |---|---|
//! | [`executor`] | what a row asks of a pool |
//! | [`promise`] | a result to come, in each pool's own way |
//! | [`channel`], [`threadpool`] | the peers that both components have; [`workers`] are their threads |
//! | [`storm`], [`wake`], [`roundtrip`], [`idle`] | the work of the rows of these names |
//! | [`quantile`] | how single operations are timed |
//!
//! Every pool has the same number of threads, is started when it is first measured, kept through all rounds
//! of its row and dropped with it. Idle pools sleep, those that look for work first do so for some
//! microseconds: they do not disturb the next contender.

pub(crate) mod channel;
pub(crate) mod executor;
pub(crate) mod idle;
pub(crate) mod promise;
pub(crate) mod quantile;
pub(crate) mod roundtrip;
pub(crate) mod storm;
pub(crate) mod threadpool;
pub(crate) mod wake;
pub(crate) mod workers;
