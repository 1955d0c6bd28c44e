//! A store is made whole or not at all, and an older one is brought up whole or left as it was.

use super::*;

/// Opens a store as a gateway does.
fn open(path: &Path, sync: bool) -> Result<Connection, StoreError> {
    super::open(path, sync, true)
}

#[test]
fn a_new_file_gets_the_newest_schema_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    for _ in 0..2 {
        let connection = open(&path, true).unwrap();
        assert_eq!(version(&connection).unwrap(), VERSION);
    }
}

/// A file as a gateway of an older schema left it: a request that its plugin failed on, and one
/// with an alert in each state.
fn of_schema(path: &Path, version: usize) {
    let mut connection = Connection::open(path).unwrap();
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .unwrap();
    migrate(&mut connection, &OLDER[..1]).unwrap();
    let id = "0190d5f2-0000-7000-8000-000000000001";
    let rows = format!(
        "INSERT INTO plugins VALUES (1, 'p', '1', '00');
         INSERT INTO requests VALUES (1, 'r1', 'a', 5, 'failed', 'trap', 1, 0, 'POST', '', '[]', x'01');
         INSERT INTO requests VALUES (2, '{id}', 'a', 6, 'read', NULL, 1, 1, 'POST', '', '[]', x'02');
         INSERT INTO alerts VALUES (2048, 'a', 'waits', 'd', 7, 'pending', 6, 2), (2049, 'a', 'behind', 'd', 7, 'pending', NULL, 0),
             (2050, 'a', 'refused', 'e', 8, 'set_aside', NULL, 1), (2051, 'b', '{long}', 'd', 9, 'delivered', NULL, 1);
         INSERT INTO events SELECT id, '{{\"event_id\":\"x\",\"priority\":\"low\",\"title\":\"t\"}}' FROM alerts;
         INSERT INTO attempts VALUES (2048, 1, 1, 1, 'later', 503, NULL, NULL, 'busy'), (2048, 2, 1, 1, 'blocked', 402, NULL, NULL, ''),
             (2050, 1, 9, 1, 'refused', 400, NULL, NULL, 'no'), (2051, 1, 1, 1, 'accepted', 200, 'receipt', 'f', NULL);
         INSERT INTO replays VALUES (1, NULL, 10), (2, 1, 11);
         INSERT OR REPLACE INTO totals VALUES ('pending', 2), ('delivered', 1), ('set_aside', 1), ('failed', 1);",
        long = "x".repeat(100)
    );
    connection.execute_batch(&rows).unwrap();
    migrate(&mut connection, &OLDER[..version]).unwrap();
}

fn text(connection: &Connection, sql: &str) -> String {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Questions to a store of the newest schema made of [`of_schema`], and their answers.
const KEPT: [(&str, &str); 9] = [
    (
        "SELECT group_concat(r.seq || state || hex(body), ' ') FROM requests r JOIN bodies b ON b.seq = r.seq",
        "1failed01 2read02",
    ),
    (
        "SELECT group_concat(length(id)) FROM (SELECT id FROM requests ORDER BY seq)",
        "2,16",
    ),
    (
        "SELECT group_concat(id || ':' || priority || typeof(event_id)) FROM alerts",
        "2048:3text,2049:3text,2050:3text,2051:3blob",
    ),
    (
        "SELECT group_concat((id / 16) || ':' || ifnull(due_at, '-') || ':' || attempts) FROM queue",
        "2048:6:2,2049:-:0",
    ),
    (
        "SELECT group_concat((dead.id / 16) || name) FROM dead JOIN destinations d ON d.id = destination",
        "2050e",
    ),
    (
        "SELECT group_concat((delivery / 16) || outcome) FROM attempts",
        "2048retry,2048blocked,2050rejected,2051accepted",
    ),
    (
        "SELECT group_concat(kind || ifnull(request, '-') || asked_at) FROM jobs",
        "replay-10,replay111",
    ),
    ("SELECT group_concat(name || failed) FROM sources", "a1,b0"),
    (
        "SELECT group_concat(since || fell_back) FROM queue",
        "60,60",
    ),
];

#[test]
fn older_store_is_brought_up_and_keeps_everything() {
    for older in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        of_schema(&path, older);
        for _ in 0..2 {
            let connection = open(&path, true).unwrap();
            assert_eq!(version(&connection).unwrap(), VERSION);
            for (sql, kept) in KEPT {
                assert_eq!(text(&connection, sql), kept, "{older}: {sql}");
            }
            let vacuum: i64 = connection
                .pragma_query_value(None, "auto_vacuum", |row| row.get(0))
                .unwrap();
            assert_eq!(vacuum, 2, "it gives space back");
        }
        let report = crate::store::check(&path, crate::store::Depth::IntegrityCheck).unwrap();
        assert!(report.whole, "{:?}", report.findings);
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        assert!(left <= 4, "one copy is left of the older file");
        let copy = Connection::open(beside(&path, &format!(".schema-{older}"))).unwrap();
        assert_eq!(version(&copy).unwrap(), older as i64);
        let alerts = "SELECT group_concat(id) FROM (SELECT id FROM alerts ORDER BY id)";
        assert_eq!(text(&copy, alerts), "2048,2049,2050,2051");
    }
}

#[test]
fn store_of_schema_3_is_brought_up_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let mut connection = Connection::open(&path).unwrap();
    make(&mut connection, IN_PLACE).unwrap();
    let rows = "INSERT INTO sources (id, name) VALUES (1, 'a');
        INSERT INTO destinations (id, name) VALUES (1, 'd');
        INSERT INTO plugins VALUES (1, 'p', '1', '00');
        INSERT INTO requests VALUES (1, x'01', 1, 6, 'read', NULL, 1, 0, NULL, NULL, NULL);
        INSERT INTO bodies VALUES (1, 'POST', '', '[]', x'02');
        INSERT INTO alerts VALUES (1024, 1, 'e', 7, 3, NULL);
        INSERT INTO events VALUES (1024, '{\"event_id\":\"e\",\"priority\":\"low\",\"title\":\"t\"}');
        INSERT INTO queue VALUES (16384, 1, 1, 7, 3, 6, 2);
        UPDATE totals SET n = 1 WHERE state IN ('pending', 'alerts');
        PRAGMA user_version = 3";
    connection.execute_batch(rows).unwrap();
    functions::add(&connection).unwrap();
    let identity = "INSERT INTO identities SELECT EVENT_IDENTITY('a', 'e'), 1024";
    connection.execute(identity, []).unwrap();
    drop(connection);
    for _ in 0..2 {
        let connection = open(&path, true).unwrap();
        assert_eq!(version(&connection).unwrap(), VERSION);
        let kept =
            "SELECT id || ':' || due_at || ':' || attempts || ':' || since || fell_back FROM queue";
        assert_eq!(text(&connection, kept), "16384:6:2:60");
        let number = std::fs::read(&path).unwrap()[60..64].to_vec();
        assert_eq!(
            number,
            [0, 0, 0, VERSION as u8],
            "the file has it while it is open"
        );
    }
    let copy = beside(&path, ".schema-3");
    assert!(
        preflight::look(&copy)
            .unwrap()
            .is_some_and(|found| version(&found).unwrap() == 3)
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(&copy.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let report = crate::store::check(&path, crate::store::Depth::IntegrityCheck).unwrap();
    assert!(report.whole, "{:?}", report.findings);
}

#[test]
fn timers_of_schema_4_stand_in_the_rows_of_their_keys() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let mut connection = Connection::open(&path).unwrap();
    make(&mut connection, 4).unwrap();
    let rows = "INSERT INTO keys VALUES (7, 1024, 1, NULL, NULL), (8, 2048, 0, 5, NULL);
        INSERT INTO timers VALUES (7, 1, 70, 60, '[\"d\"]', '{\"seven\":1}'), (9, 2, 90, 60, '[]', '{}');
        PRAGMA user_version = 4";
    connection.execute_batch(rows).unwrap();
    drop(connection);
    let connection = open(&path, true).unwrap();
    assert_eq!(version(&connection).unwrap(), VERSION);
    let mut select = connection
        .prepare(
            "SELECT concat_ws(' ', ordering_key, alert, own, coalesce(grp, '-'), coalesce(at, '-'),
                              coalesce(timed, '-'), source, destinations, json)
             FROM keys ORDER BY 1",
        )
        .unwrap();
    let keys = select.query_map([], |row| row.get(0)).unwrap();
    let keys: Vec<String> = keys.collect::<Result<_, _>>().unwrap();
    assert_eq!(
        keys,
        [
            r#"7 1024 1 - 70 1024 1 ["d"] {"seven":1}"#,
            "8 2048 0 5 - -",
            "9 0 1 - 90 - 2 [] {}"
        ]
    );
}

#[test]
fn older_store_stays_as_it_was_where_the_copy_fails() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    of_schema(&path, 1);
    // At an error in the midst, and where the process was gone before the new file had its name.
    let broken = build(&path, true, |connection| {
        connection.execute_batch("INSERT INTO destinations (name) VALUES ('x')")?;
        Err(StoreError::Full)
    });
    assert!(matches!(broken, Err(StoreError::Full)));
    std::fs::write(beside(&path, ".new"), "half of it").unwrap();
    let connection = Connection::open(&path).unwrap();
    assert_eq!(
        (
            version(&connection).unwrap(),
            text(&connection, "SELECT group_concat(id) FROM alerts").len()
        ),
        (1, 19)
    );
    drop(connection);
    let connection = open(&path, true).unwrap();
    assert_eq!(text(&connection, KEPT[0].0), KEPT[0].1);
}

#[test]
fn older_store_that_another_program_has_open_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    of_schema(&path, 2);
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("BEGIN; SELECT count(*) FROM alerts")
        .unwrap();
    assert!(matches!(open(&path, true), Err(StoreError::Busy)));
    drop(other);
    assert_eq!(text(&open(&path, true).unwrap(), KEPT[0].0), KEPT[0].1);
}

#[test]
fn reader_says_that_an_older_store_is_to_be_brought_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    of_schema(&path, 2);
    assert!(matches!(
        open_foreign(&path),
        Err(StoreError::Older {
            found: 2,
            known: VERSION
        })
    ));
}

/// A statement that is planned anew at each use costs more than its work.
#[test]
fn no_statement_is_prepared_again_for_what_is_bound() {
    let dir = tempfile::tempdir().unwrap();
    let connection = open(&dir.path().join("a.db"), false).unwrap();
    connection.execute_batch("ANALYZE").unwrap();
    for sql in [
        crate::store::due::NEXT_SOURCE,
        crate::store::due::DUE,
        "UPDATE queue SET due_at = ?3 WHERE due_at IS NULL AND id = ?1",
    ] {
        let mut statement = connection.prepare(sql).unwrap();
        for number in 0..20 {
            for index in 1..=statement.parameter_count() {
                statement
                    .raw_bind_parameter(index, number * index as i64)
                    .unwrap();
            }
            let mut rows = statement.raw_query();
            while rows.next().unwrap().is_some() {}
        }
        assert_eq!(
            statement.get_status(rusqlite::StatementStatus::RePrepare),
            0,
            "{sql}"
        );
    }
}

#[test]
fn a_file_of_a_newer_gateway_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    open(&path, true)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    assert!(matches!(
        open(&path, true),
        Err(StoreError::Newer { found: 99, .. })
    ));
    assert!(matches!(
        open_reader(&path),
        Err(StoreError::Newer { found: 99, .. })
    ));
}

#[test]
fn a_file_that_is_not_there_is_not_made_by_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    assert!(matches!(open_reader(&path), Err(StoreError::Missing(_))));
    assert!(!path.exists());
}

/// Without it, a program that opens the store and closes it again, as `sqlite3` does for a SELECT,
/// takes itself for the last one, and removes the log: what is written to that from then on is
/// lost.
#[test]
fn lock_that_protects_the_log_is_held_however_it_was_opened() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    for time in ["made", "opened again"] {
        let _connection = open(&path, true).unwrap();
        let inode = format!(":{} ", path.metadata().unwrap().ino());
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        assert!(
            locks
                .lines()
                .any(|lock| lock.contains("READ") && lock.contains(&inode)),
            "{time}:\n{locks}"
        );
    }
}

#[test]
fn the_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    drop(open(&path, true).unwrap());
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn copy_is_made_where_asked_and_removed_after_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    of_schema(&path, 2);
    let copy = beside(&path, ".schema-2");
    std::fs::write(beside(&copy, ".partial"), "half of one").unwrap();
    drop(super::open(&path, true, false).unwrap());
    assert!(!copy.exists(), "none was asked for");

    std::fs::remove_file(&path).unwrap();
    of_schema(&path, 2);
    std::fs::write(&copy, "of an earlier try").unwrap();
    drop(open(&path, true).unwrap());
    assert!(preflight::look(&copy).unwrap().is_some());
    assert!(!beside(&copy, ".partial").exists());
    // A store of the newest schema needs none, and leaves the one that is there.
    let made = copy.metadata().unwrap().modified().unwrap();
    drop(open(&path, true).unwrap());
    assert_eq!(copy.metadata().unwrap().modified().unwrap(), made);

    older::sweep(&path, Duration::from_secs(60));
    assert!(copy.exists());
    older::sweep(&path, Duration::ZERO);
    assert!(!copy.exists() && path.exists());
}

#[test]
fn older_store_stays_as_it_was_where_it_cannot_be_copied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    of_schema(&path, 2);
    // A folder in the place of the copy.
    let copy = beside(&path, ".schema-2");
    std::fs::create_dir(&copy).unwrap();
    std::fs::write(copy.join("in it"), "").unwrap();
    let error = open(&path, true).unwrap_err();
    assert!(
        matches!(&error, StoreError::Disk(why) if why.contains("a.db.schema-2")),
        "{error}"
    );
    assert_eq!(version(&Connection::open(&path).unwrap()).unwrap(), 2);
    assert!(!beside(&copy, ".partial").exists());
}
