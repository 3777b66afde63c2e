package isolation_test

import (
	"fmt"

	"distlabs/internal/harness/check/isolation"
)

// Two doctors are on call. Each transaction sees that the other doctor is on call, and takes its own off: write skew.
func ExampleCheck() {
	h := &isolation.History{Txns: []isolation.Txn{
		{ID: 1, Session: 1, Call: 0, Return: 1, Ops: []isolation.Op{isolation.W("ada", 1), isolation.W("bob", 1)}},
		{ID: 2, Session: 2, Call: 2, Return: 9, Ops: []isolation.Op{isolation.R("ada", 1), isolation.R("bob", 1), isolation.W("ada", 0)}},
		{ID: 3, Session: 3, Call: 3, Return: 8, Ops: []isolation.Op{isolation.R("ada", 1), isolation.R("bob", 1), isolation.W("bob", 0)}},
	}}
	report, err := isolation.Check(h)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("strongest level:", report.Level)
	for _, a := range report.Anomalies {
		for _, line := range a.Lines() {
			fmt.Println(line)
		}
	}
	// Output:
	// strongest level: snapshot isolation
	// write skew: T2 must come before T3, and T3 before T2
	// T2 read bob = 1 before T3's write of 0 (rw)
	// T3 read ada = 1 before T2's write of 0 (rw)
}
