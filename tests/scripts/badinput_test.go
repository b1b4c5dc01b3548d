package scripts_test

// badInput is the user that the bad input is synced as.
const badInput = "bad-input"
