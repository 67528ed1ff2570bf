"""Reports for people: tables, a page, a picture."""
