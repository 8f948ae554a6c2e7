//! Reads that several askers share: the queries of one look often want the same record, and one answer serves them all.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

struct Flight<V> {
    /// When it was asked for: the answer is no older.
    asked: Instant,
    cell: Arc<OnceCell<V>>,
}

/// Answers by what was asked. What changes a record forgets it here, before and after.
pub(super) struct Sharing<K, V>(Mutex<BTreeMap<K, Flight<V>>>);

impl<K, V> Default for Sharing<K, V> {
    fn default() -> Sharing<K, V> {
        Sharing(Mutex::default())
    }
}

impl<K: Ord + Clone, V: Clone> Sharing<K, V> {
    /// The answer to a question that was asked at most `age` ago, or to this one.
    pub(super) async fn get<E>(&self, key: K, age: Duration, ask: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        let cell = {
            let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match flights.get(&key).filter(|flight| flight.asked.elapsed() <= age) {
                Some(flight) => Arc::clone(&flight.cell),
                None => {
                    let cell = Arc::new(OnceCell::new());
                    flights.insert(key, Flight { asked: Instant::now(), cell: Arc::clone(&cell) });
                    cell
                }
            }
        };
        // Who fails leaves it to the next one that waits, with a question of its own.
        cell.get_or_try_init(|| ask).await.cloned()
    }

    /// The record as a change gave it back.
    pub(super) fn put(&self, key: K, value: V) {
        let flight = Flight { asked: Instant::now(), cell: Arc::new(OnceCell::new_with(Some(value))) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, flight);
    }

    pub(super) fn forget(&self, key: &K) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn one_answer_serves_who_asks_at_the_same_time_and_nobody_after_a_change() {
        let (sharing, asked) = (Sharing::<u8, u32>::default(), AtomicU32::new(0));
        let ask = || async {
            tokio::task::yield_now().await;
            Ok::<u32, ()>(asked.fetch_add(1, Ordering::SeqCst))
        };
        let age = Duration::from_secs(5);
        assert_eq!(tokio::join!(sharing.get(1, age, ask()), sharing.get(1, age, ask())), (Ok(0), Ok(0)));
        assert_eq!(sharing.get(2, age, ask()).await, Ok(1), "another record");
        assert_eq!(sharing.get(1, Duration::ZERO, ask()).await, Ok(2), "too old");
        sharing.forget(&1);
        assert_eq!(sharing.get(1, age, ask()).await, Ok(3));
        sharing.put(1, 9);
        assert_eq!(sharing.get(1, age, ask()).await, Ok(9));
        sharing.forget(&1);
        let failing = sharing.get(1, age, async { Err::<u32, ()>(()) }).await;
        assert_eq!((failing, sharing.get(1, age, ask()).await), (Err(()), Ok(4)));
    }
}
