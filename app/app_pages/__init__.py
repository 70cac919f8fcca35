"""The pages of the dashboard; each reads its URL, asks the store and draws."""
