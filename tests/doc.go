// Package tests holds the repository to its own rules: who imports whom, what the documentation says, what the shipped
// binary is made of. Its folders test the product as its users meet it.
package tests
