// Package check has nothing of its own: its folders are checkers, each of one
// consistency model or safety property, which know of no lab.
//
//   - happened: Lamport's happened-before relation of a run;
//   - linear: linearizability, of objects of any kind;
//   - history: what clients saw of a store of registers, the input of those below;
//   - sequential: sequential consistency;
//   - causal: causal memory and causal convergence;
//   - session: the four session guarantees of Terry et al.;
//   - eventual: eventual convergence;
//   - isolation: the isolation level of transactions, and the anomalies in their history.
//
// A checker returns a violation, or nothing, or an error if it cannot tell. Its
// verdict is exact for histories up to the size that its Options state. From the strongest model
// to the weakest: what is linearizable is sequentially consistent, that is
// causally consistent in both forms, and each of these has all session guarantees.
package check
