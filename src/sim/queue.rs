//! What will happen when, the next one first. What falls on one instant happens in the order in which it was put in.

use crate::model::Time;

/// A handful of happenings at any time, so a sorted list beats a tree: the next one is its last.
#[derive(Debug)]
pub(super) struct Queue<T> {
    list: Vec<(Time, Box<T>)>,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue { list: Vec::new() }
    }
}

impl<T> Queue<T> {
    pub fn push(&mut self, at: Time, happening: T) {
        let mut place = self.list.len();
        while place > 0 && self.list[place - 1].0 <= at {
            place -= 1;
        }
        self.list.insert(place, (at, Box::new(happening)));
    }

    pub fn next_at(&self) -> Option<Time> {
        self.list.last().map(|(at, _)| *at)
    }

    pub fn pop(&mut self) -> Option<(Time, T)> {
        self.list.pop().map(|(at, happening)| (at, *happening))
    }

    pub fn in_order(self) -> impl Iterator<Item = (Time, T)> {
        self.list.into_iter().rev().map(|(at, happening)| (at, *happening))
    }
}
