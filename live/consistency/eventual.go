package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	consistency "distlabs/labs/06-consistency"
	"distlabs/live/control"
	"distlabs/live/process"
)

// startEventual makes the process a replica of the eventually consistent store of 6C.
func startEventual(p *process.Process) (process.Service, error) {
	node := p.Network.Start(p.Server)
	store := consistency.NewEventualStore(node, consistency.EventualOptions{Gossip: gossip})
	status := func() control.Report {
		version := store.Version()
		var parts []string
		updates := uint64(0)
		for _, id := range slices.Sorted(maps.Keys(version)) {
			parts = append(parts, fmt.Sprintf("%v:%d", id, version[id]))
			updates += version[id]
		}
		return control.Report{Status: &control.Status{Lost: p.Carrier.Lost(), Problems: p.Network.Misuses()}, Cells: []control.Cell{
			{Name: "updates", Value: strconv.FormatUint(updates, 10)}, {Name: "version", Value: strings.Join(parts, " ")},
		}}
	}
	p.Reports.Say(status())
	return process.Service{Node: node, Status: status, Ask: func(args []string) (string, error) { return askReplica(store, args) }}, nil
}

// askReplica does what a user asks of this replica.
func askReplica(store *consistency.EventualStore, args []string) (string, error) {
	switch key := args[1]; args[0] {
	case "put":
		return "done", store.Put(key, args[2])
	case "delete":
		return "done", store.Delete(key)
	case "get":
		value, found := store.Get(key)
		if !found {
			return key + " has no value", nil
		}
		return fmt.Sprintf("%s = %q", key, value), nil
	case "add":
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return "", fmt.Errorf("%q is not a number", args[2])
		}
		return "done", store.Add(key, n)
	case "count":
		return fmt.Sprintf("%s = %d", key, store.Count(key)), nil
	}
	return "", fmt.Errorf("a replica cannot %s", args[0])
}
