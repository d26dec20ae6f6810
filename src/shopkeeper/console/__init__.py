"""The console: Streamlit pages that know only the client. `shopkeeper up` starts them; `launch.py` says how."""
