package main

import (
	"database/sql"
	"os"
	"path/filepath"

	// SQLite itself comes with it, and is built with cc.
	_ "github.com/mattn/go-sqlite3"
)

// signs has the types of events that we count.
var signs = map[string]int{"OrderPlaced": 1, "OrderCancelled": -1}

// store is what was counted, and up to where. A file of SQLite survives any end of this process.
type store struct{ database *sql.DB }

func openStore(folder string) (*store, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	// With a write-ahead log /state reads while events are counted.
	name := "file:" + filepath.Join(folder, "inventory.db") + "?_journal_mode=WAL&_busy_timeout=5000"
	database, err := sql.Open("sqlite3", name)
	if err != nil {
		return nil, err
	}
	_, err = database.Exec(`
		CREATE TABLE IF NOT EXISTS reserved (product INTEGER PRIMARY KEY, units INTEGER NOT NULL);
		CREATE TABLE IF NOT EXISTS seen (event TEXT PRIMARY KEY) WITHOUT ROWID;
		CREATE TABLE IF NOT EXISTS position (partition INTEGER PRIMARY KEY, next INTEGER NOT NULL)`)
	return &store{database}, err
}

// position is a partition's next offset, or -2: from the beginning.
func (s *store) position(partition int32) (next int64, err error) {
	sql := "SELECT coalesce(max(next), -2) FROM position WHERE partition = ?"
	err = s.database.QueryRow(sql, partition).Scan(&next)
	return
}

// take counts some events, all of them or none.
func (s *store) take(events []event) error {
	txn, err := s.database.Begin()
	if err != nil {
		return err
	}
	// After the commit this does nothing.
	defer txn.Rollback()
	for _, event := range events {
		if err := count(txn, event); err != nil {
			return err
		}
	}
	return txn.Commit()
}

// count notes the offset behind an event and its id and, if that is new, what is reserved.
//
// By the offsets alone no record is counted twice. By the id no event is, even if it comes as two
// records: when a topic is read from its beginning again, or somebody publishes an event once more.
func count(txn *sql.Tx, event event) error {
	if _, err := txn.Exec("REPLACE INTO position VALUES (?, ?)", event.partition, event.offset+1); err != nil {
		return err
	}
	noted, err := txn.Exec("INSERT OR IGNORE INTO seen VALUES (?)", event.id)
	if err != nil {
		return err
	}
	if isNew, err := noted.RowsAffected(); err != nil || isNew == 0 {
		return err
	}
	for _, line := range event.Lines {
		sql := "INSERT INTO reserved VALUES (?, ?) ON CONFLICT DO UPDATE SET units = units + excluded.units"
		if _, err := txn.Exec(sql, line.Product, signs[event.kind]*line.Quantity); err != nil {
			return err
		}
	}
	return nil
}

// state is the answer to GET /state, in JSON.
func (s *store) state() (state string, err error) {
	err = s.database.QueryRow(`SELECT json_object('events', (SELECT count(*) FROM seen), 'reserved',
		(SELECT json_group_object(product, units) FROM reserved WHERE units <> 0))`).Scan(&state)
	return
}
