package main

import (
	"fmt"
	"strings"
	"time"

	consistency "distlabs/labs/06-consistency"
	"distlabs/live/control"
	"distlabs/live/process"
)

// timeout is after what time CP refuses.
const timeout = 3 * time.Second

// startBasket makes the process a member that keeps the set of items of 6E.
func startBasket(p *process.Process) (process.Service, error) {
	policy := consistency.CP
	if p.Policy == "AP" {
		policy = consistency.AP
	}
	node := p.Network.Start(p.Server)
	basket := consistency.NewBasket(node, consistency.BasketOptions{Policy: policy, Members: p.Servers, Timeout: timeout, Gossip: gossip})
	status := func() control.Report {
		return control.Report{Status: &control.Status{Lost: p.Carrier.Lost(), Problems: p.Network.Misuses()}, Cells: []control.Cell{{Name: "policy", Value: policy.String()}}}
	}
	p.Reports.Say(status())
	return process.Service{Node: node, Status: status, Ask: func(args []string) (string, error) { return askMember(basket, args) }}, nil
}

// askMember does what a user asks of this member.
func askMember(basket *consistency.Basket, args []string) (string, error) {
	switch args[0] {
	case "add":
		return "done", basket.Add(args[1])
	case "items":
		items, err := basket.Items()
		return fmt.Sprintf("%d items: %s", len(items), strings.Join(items, " ")), err
	}
	return "", fmt.Errorf("a member cannot %s", args[0])
}
