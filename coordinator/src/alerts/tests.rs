//! Rules, and what is made of them.

mod agree;
mod boards;
mod examples;
mod files;
mod promtool;
mod states;
