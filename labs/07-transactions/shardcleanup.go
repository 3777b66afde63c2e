package transactions

// TODO(7D): how a transaction ends when its client does not end it.
