// Package isolation finds out which isolation level a history of transactions satisfies, from what the clients saw
// alone, and names what goes wrong: it knows nothing of how the store works.
//
// A history is a list of transactions, each with the operations of its client: reads, writes, appends to lists,
// range reads. From these, [Check] derives the dependencies of Adya's direct serialization graph (Adya, Liskov,
// O'Neil, Generalized Isolation Level Definitions, ICDE 2000):
//
//   - ww: a transaction installed the version of a key that follows another transaction's version;
//   - wr: a transaction read a version that another transaction installed;
//   - rw: a transaction read a version, and another transaction installed the version that follows it
//     (an anti-dependency). If a range read missed a key that the other transaction created, the rw dependency is
//     one of a predicate: a phantom.
//
// Which version follows which is not known to clients. Of lists, a read tells it: the list [1 3 2] says that 1 was
// appended before 3, and 3 before 2. Of registers, less is known; see Exactness. This inference is that of Kingsbury
// and Alvaro, Elle, VLDB 2020.
//
// # Anomalies
//
// [Kind] lists what is found. An anomaly that is a cycle of dependencies comes with the shortest cycle, and a
// sentence for each dependency. Levels are defined by the anomalies that they forbid:
//
//	read uncommitted     forbids G0, and what no level permits: internal inconsistencies with a transaction's own
//	                     writes, duplicates, values that nobody wrote, incompatible orders
//	read committed       also forbids G1a, G1b and G1c
//	snapshot isolation   also forbids lost updates, G-single, G-nonadjacent, and any other internal inconsistency
//	serializable         also forbids G2-item and G2 (phantom)
//	strict serializable  also forbids every cycle that needs real time or the order within a session
//
// Snapshot isolation is here what Cerone and Gotsman (PODC 2016) show it to be: each cycle has two rw
// dependencies that are adjacent. It does not ask that a snapshot be recent.
//
// # Exactness
//
// A level is satisfied if some order of each key's versions that agrees with the history has none of the forbidden
// anomalies. [Report.Level] has such an order: it was found. A level that [Report.Refuted] names, and each stronger one, has none: each order
// has one of the anomalies listed. If there is a level between the two, [Report.Exact] is false and [Report.Why] says
// why. Histories of lists are exact, except where appends that no transaction read were made by transactions which are
// part of a cycle already. Histories of registers are exact if they are small (all orders are tried), and otherwise
// wherever the orders that follow from each transaction's own reads and writes, and from real time, suffice.
//
// # Cost
//
// The time is near linear in the number of operations: 100 000 transactions of five operations take about a second
// on one core. Only the search for the shortest cycle of a wrong history is not, and it is bounded by a number of
// steps; [Anomaly.Shortest] is false where the bound was met.
package isolation
