"""Migrations of the database, applied by db.migrate when a database is opened."""
