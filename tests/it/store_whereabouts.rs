//! The store's file is taken away, replaced, or opened by another name.

use crate::store::{begun, directory, open, records};
use coldswap::adapter::store_sqlite::SqliteStore;
use coldswap::model::Span;
use coldswap::ports::{Store, StoreError};

/// Else every record of where the volumes are would end with the process, and the next one begin from older ones.
#[test]
fn a_store_that_is_taken_away_takes_nothing_more_and_is_put_beside() {
    for replaced in [false, true] {
        let directory = directory();
        let path = directory.path().join("state.db");
        let store = open(&path);
        let run = begun(&store);
        store.append(&run, 0, &records(1..2), &[]).expect("as long as it is there");
        std::fs::rename(&path, directory.path().join("elsewhere.db")).expect("moved");
        if replaced {
            drop(open(&path));
        }
        for _ in 0..2 {
            let refused = store.append(&run, 0, &records(2..3), &[]).expect_err("it is gone").to_string();
            assert!(refused.contains("while it was in use") && refused.contains(".rescued-") != replaced, "{refused}");
        }
        if !replaced {
            let rescued = path.with_file_name(format!("state.db.rescued-{}-1", std::process::id()));
            assert_eq!(open(&rescued).journal(&run).expect("its journal").len(), 1);
        }
    }
}

#[test]
fn a_store_has_one_lock_whatever_it_is_called() {
    let directory = directory();
    let path = directory.path().join("state.db");
    let store = open(&path);
    let run = begun(&store);
    let _held = store.lock_run(&run, Span::secs(30)).expect("nobody else");
    let alias = directory.path().join("alias.db");
    std::os::unix::fs::symlink("state.db", &alias).expect("a link");
    assert!(matches!(open(&alias).lock_run(&run, Span::secs(30)), Err(StoreError::Locked { .. })));
    let hard = directory.path().join("hard.db");
    std::fs::hard_link(&path, &hard).expect("a second name");
    let Err(refused) = SqliteStore::open(&hard).map(drop) else { panic!("two names") };
    let refused = refused.to_string();
    assert!(refused.contains("hard links"), "{refused}");
}
