package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"distlabs/live/cluster"
	"distlabs/live/torture"
)

// runTorture tortures the store, in a folder beside that of the data, and prints what came of it. An anomaly is an error.
func runTorture(ctx context.Context, f flags) error {
	if f.seed == 0 {
		f.seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	fmt.Printf("torture for %v, --seed %d\n", f.torture, f.seed)
	report, err := torture.Run(ctx, torture.Options{
		Cluster:  cluster.Options{Dir: f.dir + "-torture", Program: f.program, Servers: f.nodes, Host: f.host},
		Duration: f.torture, Seed: f.seed, Log: os.Stdout,
	})
	if err != nil {
		return err
	}
	fmt.Println(report)
	for _, anomaly := range report.Anomalies {
		fmt.Println("  " + anomaly)
	}
	for _, page := range report.Pages {
		fmt.Println("page: " + page)
	}
	if len(report.Anomalies) > 0 {
		return errors.New("the store broke its rules")
	}
	return nil
}
