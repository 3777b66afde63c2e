package main

import (
	"fmt"
	"slices"
	"strings"
)

// A lab is what can run live, and how it differs from the others.
type lab struct {
	id        string // what the user gives grade live
	title     string
	store     bool       // it has gateways for etcd's clients
	policy    bool       // it runs under CP or AP
	questions []question // what its servers can be asked
}

var labs = []lab{
	{id: "4C", title: "Raft elects a leader"},
	{id: "05", title: "the store", store: true},
	{id: "6C", title: "the eventually consistent store", questions: []question{
		{"put", []string{"key", "value"}}, {"get", []string{"key"}}, {"delete", []string{"key"}}, {"add", []string{"counter", "2"}}, {"count", []string{"counter"}},
	}},
	{id: "6E", title: "CP or AP", policy: true, questions: []question{{"add", []string{"item"}}, {"items", nil}}},
}

func labOf(id string) (lab, error) {
	i := slices.IndexFunc(labs, func(l lab) bool { return l.id == id })
	if i < 0 {
		return lab{}, fmt.Errorf("live: %q does not run live", id)
	}
	return labs[i], nil
}

// about says which nodes the page draws, and what can be asked.
func (l lab) about(servers int) string {
	if l.store && servers == 1 {
		return "n2 is the gateway: it is a client of the store, for etcd's clients."
	}
	if l.store {
		return fmt.Sprintf("n%d to n%d are the gateways of n1 to n%d: clients of the store, for etcd's clients. A gateway shares its server's process.", servers+1, 2*servers, servers)
	}
	return l.hint()
}

// hint has an example of each question.
func (l lab) hint() string {
	var examples []string
	for _, q := range l.questions {
		examples = append(examples, q.example())
	}
	return strings.Join(examples, ", ")
}
