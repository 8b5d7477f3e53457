//! One partition driven by hand: what a simulated run meets only by luck, each as a plan of a few lines.

mod acts;
mod admission;
mod by_hand;
mod claims;
mod clocks;
mod inputs;
mod items;
mod learned;
mod line;
mod listeners;
mod memory;
mod parking;
mod pausing;
mod resumed;
mod routing;
mod runs;
mod side_by_side;
mod starts;
mod stored;
mod stuck;
mod timers;
mod told;
mod values;
mod waits;
mod ways;
mod words;
