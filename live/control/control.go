// Package control is what the command and the processes that it starts say to each other: a process gets its configuration in a
// file, commands as lines of JSON on its standard input, and reports as lines of JSON on its standard output. It ends when its
// standard input does: whatever becomes of the command, no process stays behind.
package control

import (
	"time"

	"distlabs/labrpc"
	"distlabs/live/tcp"
)

// A Config is what a process needs to know.
type Config struct {
	Process   string
	Version   string // of the program: processes of different versions refuse each other
	Keys      string // the folder of the cluster's keys
	Processes map[string]tcp.Process
	Nodes     int             // of the whole cluster
	Servers   []labrpc.NodeID // of the store
	Before    []Command       // applied before the process has a connection: the cuts that a restart does not heal

	Incarnation int  // how often the process has been started, this time included
	Watched     bool // report steps from the beginning
	Quiet       bool // report no status: nobody reads it

	// Of a process with a server of the store.
	Server        labrpc.NodeID // 0: none
	Disk          string        // the file of its disk
	SnapshotEvery int
	History       int

	Policy string // of lab 06: CP or AP for 6E, "" for 6C

	// Of a process with a gateway.
	Gateway labrpc.NodeID            // 0: none
	Clients map[labrpc.NodeID]string // of each gateway, where etcd's clients find it
	Mirror  string                   // the file of its mirror

	// Of a process with clients that test the store.
	Load *Load
}

// A Load is what the clients of a process do.
type Load struct {
	Clients []labrpc.NodeID
	Kind    string        // LoadMixed or LoadPut or LoadGet
	Keys    int           // how many keys the clients share at a time
	Epoch   time.Duration // how long they share them, before they go on with others: short histories are checked in a short time
	TTL     time.Duration // of the clients' sessions
	Pause   time.Duration // between two commands of a client, at most; drawn at random
	Timeout time.Duration // of a command
	Size    int           // of a value, in bytes; LoadPut
	Seed    uint64
}

// The kinds of load.
const (
	LoadMixed = "mixed" // reads, writes and conditional writes, each reported
	LoadPut   = "put"   // as many puts as possible, measured
	LoadGet   = "get"   // as many reads as possible, measured
)

// A Command is what a process is told.
type Command struct {
	Do       string
	From, To labrpc.NodeID `json:",omitzero"` // of Cut, Heal and Slow: the one-way link
	Number   uint64        `json:",omitzero"` // of Ask: the answer has it, too
	Args     []string      `json:",omitzero"` // of Ask: a word, and what it needs
	By       time.Duration `json:",omitzero"` // of Slow: how much later messages arrive; 0 ends it
}

// The commands.
const (
	Cut  = "cut"
	Heal = "heal"
	Slow = "slow"
	Stop = "stop" // of a load: no further commands

	Watch   = "watch"   // report steps, from what the nodes have noted so far on
	Unwatch = "unwatch" // do not

	Ask = "ask" // do what a user asks of the lab's code, and answer
)

// A Report is what a process says.
type Report struct {
	Ready  bool       `json:",omitzero"` // it serves
	Status *Status    `json:",omitzero"`
	Cells  []Cell     `json:",omitzero"` // what a table shows of the server
	Answer *Answer    `json:",omitzero"`
	Steps  []Step     `json:",omitzero"` // in the order in which they happened; a watched process reports them
	Log    string     `json:",omitzero"`
	Op     *Operation `json:",omitzero"`
	Watch  *Event     `json:",omitzero"`
	Rate   *Rate      `json:",omitzero"`
	Done   bool       `json:",omitzero"` // of a load: every client has ended
}

// An Answer is what came of a question.
type Answer struct {
	Number uint64
	Text   string
	Err    string `json:",omitzero"`
}

// A Cell is one value that a table shows of a server.
type Cell struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Status is that of a server of the store.
type Status struct {
	First    bool `json:",omitzero"` // what the server found on its disk: no message has reached it yet
	Term     int
	Role     string
	Leader   labrpc.NodeID
	VotedFor labrpc.NodeID
	Last     int // index of the log
	Commit   int
	Applied  int
	Snapshot int
	Writes   uint64        // to the disk
	Syncs    uint64        // of the disk
	Syncing  time.Duration // all of them together
	Lost     uint64        // packets
	Problems []string      `json:",omitzero"` // what the student's code did wrong with the network
}

// An Operation is one command of a client. The times are since the clients' process began.
type Operation struct {
	Client   labrpc.NodeID
	Number   int // the client's commands count from 1; a command is reported when it is called, and again when it returns
	Op       string
	Key      string
	Data     string
	At       int // of "set": the revision
	Call     time.Duration
	Return   time.Duration
	Returned bool
	Err      string `json:",omitzero"`
	Got      string `json:",omitzero"`
	Revision int
}

// An Event is what a watch reported.
type Event struct {
	Client   labrpc.NodeID
	Revision int
	Key      string
	Data     string
	Deleted  bool   `json:",omitzero"`
	Ended    string `json:",omitzero"` // the watch ended, with this error
}

// A Rate is what measuring clients have measured.
type Rate struct {
	Commands int
	Took     time.Duration
	P50, P99 time.Duration
}
