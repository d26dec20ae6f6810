"""One file a page, each with `page()`. Not a folder called pages: Streamlit would take that for its own list."""
