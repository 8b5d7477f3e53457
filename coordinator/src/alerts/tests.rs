//! Rules, and what is made of them.

mod agree;
mod examples;
mod files;
mod promtool;
mod states;
