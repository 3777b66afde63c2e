package transactions

// TODO(7E): the outbox and the inbox that the three services share. The messages are yours.
