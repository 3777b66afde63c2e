package session_test

import (
	"fmt"
	"time"

	"distlabs/internal/harness/check/history"
	"distlabs/internal/harness/check/session"
)

func ExampleCheck() {
	ms := time.Millisecond
	v, err := session.Check([]history.Op{
		{Client: 2, Key: "x", Kind: history.Write, Value: "1", Invoke: 1000 * ms, Return: 1100 * ms},
		{Client: 3, Key: "x", Kind: history.Write, Value: "2", Invoke: 2000 * ms, Return: 2100 * ms},
		{Client: 3, Key: "y", Kind: history.Read, Invoke: 2200 * ms, Return: 2210 * ms},
		{Client: 3, Key: "x", Kind: history.Read, Value: "1", Invoke: 2300 * ms, Return: 2310 * ms},
	}, session.Options{Guarantees: session.ReadYourWrites, LinearWrites: true})
	fmt.Println(err)
	fmt.Println(v)
	for _, line := range v.Lines() {
		fmt.Println("  " + line)
	}
	// Output:
	// <nil>
	// client 3 read x=1 at 2.310s after its own write x=2 had finished at 2.100s
	//   client 2 wrote x=1, 1.000s to 1.100s
	//   client 3 wrote x=2, 2.000s to 2.100s
	//   client 3 read x=1, 2.300s to 2.310s
}
