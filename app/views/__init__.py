"""Parts of pages: each takes frozen rows and draws them."""
