"""The worker processes, seen from control: started, fed, watched, replaced. And their entry."""
