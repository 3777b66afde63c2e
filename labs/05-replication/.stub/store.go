package replication

// A Value is what the store keeps under a key.
type Value struct {
	Data     string
	Revision int // of the change that wrote it; 0 if there is no such key
	Session  int // whose end removes the key; 0 if it stays
}

// An Event is one change of one key.
type Event struct {
	Revision int // the store counts all its changes: 1, 2, 3, …
	Key      string
	Data     string
	Deleted  bool
}

// A state is what the replicas agree on. It must follow from the commands alone:
// no clock, no random number and no order of a map may have a part in it.
type state struct {
	// TODO(5D): what is it made of? Who has asked for what is part of it too.
}
