"""A lab notebook: samples, their measurements and notes, in one file, with undo.

``python -m encore.examples.lab_notebook project.db`` runs it. In place of a file it opens what
``encore serve`` publishes, in as many windows as there are people. It is made of the standard
library and encore, and is meant to be read, in this order:

``document``         the project and everything that can be done with it; knows no window
``importing``        copying a directory of measurements into the project; knows no window
``loop``             how events reach the loop of Tk from any thread
``table``            the list of samples
``editor``           the fields of the sample that is selected
``plot``             its measurement
``history_panel``    the steps that can be undone, to click on
``import_dialog``    a progress bar and a button that stops the import
``commands``         menu, toolbar, shortcuts
``window``           puts these side by side
``words``            what it says
``look``             fonts, colours, distances

The one idea: a widget that changes something writes to the document and does nothing else. What
the store and the history then announce changes the widgets, all of them, whoever wrote.
"""
