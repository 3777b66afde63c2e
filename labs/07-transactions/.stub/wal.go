package transactions

// A wal is the write-ahead log of a store on its disk. No test calls it: change it as you like.
//
// The writes of a transaction may not fit into one record of the disk, and the node may crash between any two writes. After
// that, either all writes of the transaction must be there, or none.
type wal struct {
	disk Disk
}

// commit makes the writes of a transaction durable, all of them or none. A nil value deletes the key.
func (w *wal) commit(writes map[string]*string) error {
	// TODO(7A): write records to the disk, in an order such that each crash leaves all or none.
	return errNotWritten
}

// recover returns what the committed transactions have left on the disk.
func (w *wal) recover() (map[string]string, error) {
	// TODO(7A): read the disk. What of a transaction that has not committed?
	return map[string]string{}, nil
}
